"""What a browser, or somebody who only pretends to be one, sends to the dashboard."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from publish_world import certificate

PASSWORD = "correct horse 7"
HTML = {"Accept": "text/html,application/xhtml+xml"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    """Lower-case names."""
    text: str
    cookies: dict[str, Morsel[str]]
    """Those that it sets."""

    @property
    def secret(self) -> str:
        """Of the session that it begins."""
        (cookie,) = self.cookies.values()
        return cookie.value


def ask(
    address: str, path: str, *, method: str = "GET", cookie: str = "", body: str | None = None, headers: Mapping[str, str] = {}
) -> Answer:
    """One request, sent as it is; nothing is followed."""
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    try:
        sent = {"Cookie": cookie} if cookie else {}
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, body, sent | dict(headers))
        answer = connection.getresponse()
        told = answer.getheaders()
        cookies: SimpleCookie = SimpleCookie()
        for name, value in told:
            if name.lower() == "set-cookie" and "kizu" in value:
                cookies.load(value)
        text = answer.read().decode("utf-8", "replace")
        return Answer(answer.status, {name.lower(): value for name, value in told}, text, dict(cookies))
    finally:
        connection.close()


def sign_in(
    address: str, name: str, password: str = PASSWORD, *, back: str = "/", cookie: str = "", headers: Mapping[str, str] = {}
) -> Answer:
    """Sends the form."""
    body = urlencode({"name": name, "password": password, "next": back})
    return ask(address, "/signin", method="POST", body=body, cookie=cookie, headers=headers)


def pages_socket(address: str, *, cookie: str = "", origin: str | None = None) -> ClientConnection:
    """The websocket through which pages are drawn."""
    return connect(
        address.replace("http://", "ws://") + "/_stcore/stream",
        origin=None if origin is None else Origin(origin),
        additional_headers={"Cookie": cookie} if cookie else {},
        subprotocols=[Subprotocol("streamlit")],
        max_size=None,
        open_timeout=60,
        proxy=None,
    )


def socket_status(address: str, *, cookie: str = "", origin: str | None = None) -> int:
    """What the handshake of the pages' websocket is answered with: 101 where it is accepted."""
    try:
        with pages_socket(address, cookie=cookie, origin=origin):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


def messages_until_finished(socket: ClientConnection, sent: bytes) -> bytes:
    """All that comes after this message until the page is drawn, where it has one drawn."""
    socket.send(sent)
    told = b""
    while BackMsg.FromString(sent).WhichOneof("type") == "rerun_script":
        came = socket.recv(timeout=60)
        assert isinstance(came, bytes)
        told += came
        if ForwardMsg.FromString(came).WhichOneof("type") == "script_finished":
            break
    return told


TLS_PROXY = """
import asyncio, ssl, sys
host, port, certificate, key = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)

async def pipe(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # whoever closes a connection in its midst closes the other half too
    finally:
        writer.close()

async def pass_on(reader, writer):
    far_reader, far_writer = await asyncio.open_connection(host, int(port))
    await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer))

async def main():
    server = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@contextmanager
def tls_before(address: str, folder: Path) -> Iterator[int]:
    """A proxy that ends TLS and passes everything on as it is, in a process of its own; its port."""
    where = urlsplit(address)
    command = [sys.executable, "-c", TLS_PROXY, where.hostname or "", str(where.port), *map(str, certificate(folder))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout is not None
        try:
            yield int(proxy.stdout.readline())
        finally:
            proxy.terminate()
