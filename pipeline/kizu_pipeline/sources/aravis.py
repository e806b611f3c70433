"""As much of the library Aravis (GigE Vision, USB3 Vision) as a camera needs, called by ctypes.

Aravis' own Python binding needs PyGObject, which has no wheels and must fit the interpreter; the library alone is one system
package and fits every virtual environment. Checked against Aravis 0.8.26. https://aravisproject.github.io/aravis
"""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_int64, c_size_t, c_uint, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any, Final

from kizu_inspect.errors import SourceError

__all__ = ["BufferStatus", "Device", "Frame", "Stream", "open_device"]

_LIBRARY: Final = "libaravis-0.8.so.0"
_CONTINUOUS, _AUTO_OFF = 0, 0  # ARV_ACQUISITION_MODE_CONTINUOUS, ARV_AUTO_OFF

_CAMERA: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    # name after arv_camera_: result, arguments between the camera and the error
    "get_vendor_name": (c_char_p, ()),
    "get_model_name": (c_char_p, ()),
    "set_pixel_format_from_string": (None, (c_char_p,)),
    "get_pixel_format": (c_uint32, ()),
    "dup_available_pixel_formats_as_strings": (c_void_p, (POINTER(c_uint),)),
    "set_acquisition_mode": (None, (c_int,)),
    "is_exposure_time_available": (c_int, ()),
    "is_exposure_auto_available": (c_int, ()),
    "set_exposure_time_auto": (None, (c_int,)),
    "set_exposure_time": (None, (c_double,)),
    "is_feature_available": (c_int, (c_char_p,)),
    "is_enumeration_entry_available": (c_int, (c_char_p, c_char_p)),
    "is_gain_auto_available": (c_int, ()),
    "set_gain_auto": (None, (c_int,)),
    "set_gain": (None, (c_double,)),
    "clear_triggers": (None, ()),
    "set_trigger": (None, (c_char_p,)),
    "software_trigger": (None, ()),
    "get_integer": (c_int64, (c_char_p,)),
    "get_payload": (c_uint, ()),
    "create_stream": (c_void_p, (c_void_p, c_void_p)),
    "start_acquisition": (None, ()),
    "stop_acquisition": (None, ()),
}
_OTHERS: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "arv_buffer_new_allocate": (c_void_p, (c_size_t,)),
    "arv_buffer_get_status": (c_int, (c_void_p,)),
    "arv_buffer_get_frame_id": (c_uint64, (c_void_p,)),
    "arv_buffer_get_image_data": (c_void_p, (c_void_p, POINTER(c_size_t))),
    "arv_buffer_get_image_pixel_format": (c_uint32, (c_void_p,)),
    "arv_buffer_get_image_width": (c_int, (c_void_p,)),
    "arv_buffer_get_image_height": (c_int, (c_void_p,)),
    "arv_buffer_get_image_padding": (None, (c_void_p, POINTER(c_int), POINTER(c_int))),
    "arv_stream_push_buffer": (None, (c_void_p, c_void_p)),
    "arv_stream_timeout_pop_buffer": (c_void_p, (c_void_p, c_uint64)),
    "g_object_unref": (None, (c_void_p,)),
    "g_free": (None, (c_void_p,)),
}


class BufferStatus(IntEnum):
    """How a frame arrived (ArvBufferStatus)."""

    UNKNOWN = -1
    SUCCESS = 0
    CLEARED = 1
    TIMEOUT = 2
    MISSING_PACKETS = 3
    WRONG_PACKET_ID = 4
    SIZE_MISMATCH = 5
    FILLING = 6
    ABORTED = 7


class _GError(ctypes.Structure):
    _fields_ = (("domain", c_uint32), ("code", c_int), ("message", c_char_p))


@cache
def _library() -> ctypes.CDLL:
    """The library, with the signatures of what is used. Raises SourceError where it is not installed."""
    try:
        library = ctypes.CDLL(_LIBRARY)  # which brings GLib's functions along
    except OSError as error:
        raise SourceError(
            "GenICam cameras need the library Aravis",
            found=f"no {_LIBRARY}",
            expected="Aravis 0.8",
            next_step="Install it: apt-get install libaravis-0.8-0 (Debian, Ubuntu).",
        ) from error
    for name, (result, arguments) in _OTHERS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    for name, (result, arguments) in _CAMERA.items():
        function = getattr(library, f"arv_camera_{name}")
        function.restype, function.argtypes = result, (c_void_p, *arguments, POINTER(POINTER(_GError)))
    library.arv_camera_new.restype, library.arv_camera_new.argtypes = c_void_p, (c_char_p, POINTER(POINTER(_GError)))
    library.g_error_free.restype, library.g_error_free.argtypes = None, (POINTER(_GError),)
    return library


def _called(function: Any, *arguments: object) -> Any:
    """What the function returns. Raises SourceError with what it says of a failure."""
    error = POINTER(_GError)()
    result = function(*arguments, byref(error))
    if error:
        said = (error.contents.message or b"").decode(errors="replace")
        _library().g_error_free(error)
        raise SourceError(said or "the camera failed without saying why")
    return result


@dataclass(frozen=True)
class Frame:
    """One frame as it arrived."""

    data: bytes
    pixel_format: int
    """PFNC code."""
    width_px: int
    height_px: int
    row_padding_bytes: int


class Stream:
    """The frames of a camera. A buffer that was popped is given back by `push`."""

    def __init__(self, handle: int, *, payload_bytes: int, buffers: int) -> None:
        self._library = _library()
        self._handle: int | None = handle
        for _ in range(buffers):
            self.push(self._library.arv_buffer_new_allocate(payload_bytes))

    def pop(self, *, timeout_s: float) -> int | None:
        """The next buffer that was filled, whole or not; None where none was within the time."""
        found: int | None = self._library.arv_stream_timeout_pop_buffer(self._handle, round(timeout_s * 1e6))
        return found

    def push(self, buffer: int) -> None:
        """Let the buffer be filled again."""
        self._library.arv_stream_push_buffer(self._handle, buffer)

    def status(self, buffer: int) -> BufferStatus:
        """How its frame arrived."""
        return BufferStatus(self._library.arv_buffer_get_status(buffer))

    def frame_id(self, buffer: int) -> int:
        """The camera's own number of its frame."""
        return int(self._library.arv_buffer_get_frame_id(buffer))

    def frame(self, buffer: int) -> Frame:
        """A copy of what is in a buffer that arrived whole."""
        library, size, right, below = self._library, c_size_t(), c_int(), c_int()
        data = library.arv_buffer_get_image_data(buffer, byref(size))
        library.arv_buffer_get_image_padding(buffer, byref(right), byref(below))
        return Frame(
            data=ctypes.string_at(data, size.value) if data else b"",
            pixel_format=library.arv_buffer_get_image_pixel_format(buffer),
            width_px=library.arv_buffer_get_image_width(buffer),
            height_px=library.arv_buffer_get_image_height(buffer),
            row_padding_bytes=right.value,
        )

    def close(self) -> None:
        """End the stream's thread and free its buffers."""
        if self._handle is not None:
            self._library.g_object_unref(self._handle)
            self._handle = None


class Device:
    """An open camera. Every method but `close` raises SourceError with the camera's own words where it fails."""

    def __init__(self, handle: int) -> None:
        self._library = _library()
        self._handle: int | None = handle

    def _call(self, name: str, *arguments: object) -> Any:
        return _called(getattr(self._library, f"arv_camera_{name}"), self._handle, *arguments)

    @property
    def model(self) -> str:
        """Maker and model."""
        return " ".join((self._call(name) or b"").decode(errors="replace") for name in ("get_vendor_name", "get_model_name"))

    def pixel_formats(self) -> list[str]:
        """The names of those it has."""
        count = c_uint()
        found = self._call("dup_available_pixel_formats_as_strings", byref(count))
        names = [(name or b"").decode(errors="replace") for name in ctypes.cast(found, POINTER(c_char_p))[: count.value]]
        self._library.g_free(found)  # the list alone: the names are the camera's
        return names

    def pixel_format(self) -> int:
        """The PFNC code of the one that it is set to."""
        return int(self._call("get_pixel_format"))

    def set_pixel_format(self, name: str) -> None:
        """By its name."""
        self._call("set_pixel_format_from_string", name.encode())

    def set_exposure(self, time_us: float) -> None:
        """A fixed exposure time, in µs."""
        if not self._call("is_exposure_time_available"):
            raise SourceError("the camera's exposure time cannot be set")
        if self._call("is_exposure_auto_available"):
            self._call("set_exposure_time_auto", _AUTO_OFF)
        self._call("set_exposure_time", time_us)

    def set_gain(self, gain_db: float) -> None:
        """A fixed gain, in dB."""
        if not self._call("is_feature_available", b"Gain"):  # GainRaw of older cameras is in a unit of its own
            raise SourceError("the camera has no gain in dB")
        if self._call("is_gain_auto_available"):
            self._call("set_gain_auto", _AUTO_OFF)
        self._call("set_gain", gain_db)

    def set_trigger(self, source: str | None) -> None:
        """Each frame when this input rises, or by command ("Software"); None lets the camera run freely."""
        self._call("set_acquisition_mode", _CONTINUOUS)
        self._call("clear_triggers")
        if source is not None:
            self._call("set_trigger", source.encode())

    def set_software_trigger(self) -> bool:
        """Each frame by command, where the camera knows how (False: it does not, and runs freely)."""
        self.set_trigger(None)
        if not self._call("is_enumeration_entry_available", b"TriggerSource", b"Software"):
            return False
        self.set_trigger("Software")
        if self._call("is_feature_available", b"TriggerSoftware"):  # on some cameras only once the source is set
            return True
        self.set_trigger(None)
        return False

    def trigger(self) -> None:
        """Take a frame now."""
        self._call("software_trigger")

    def ask(self) -> None:
        """Only whether it answers."""
        self._call("get_integer", b"Width")

    def start(self, *, buffers: int) -> Stream:
        """Let frames come."""
        payload = self._call("get_payload")
        stream = Stream(self._call("create_stream", None, None), payload_bytes=payload, buffers=buffers)
        try:
            self._call("start_acquisition")
        except SourceError:
            stream.close()
            raise
        return stream

    def stop(self) -> None:
        """Let no more frames come."""
        self._call("stop_acquisition")

    def close(self) -> None:
        """Give up control of the camera."""
        if self._handle is not None:
            self._library.g_object_unref(self._handle)
            self._handle = None


def open_device(name: str | None) -> Device:
    """The camera of this name, address or serial number, or the first that is found. Raises SourceError."""
    handle = _called(_library().arv_camera_new, None if name is None else os.fsencode(name))
    if not handle:
        raise SourceError("no camera was found")
    return Device(handle)
