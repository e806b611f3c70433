"""XML, as annotation files have it; nothing in it may stand for more than it says."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse, parse

from kizu_inspect.labelled.findings import Finding, Report

__all__ = ["read_xml", "root_tag"]

WRONG = (OSError, ParseError, DefusedXmlException, LookupError, ValueError)


def read_xml(file: Path, report: Report) -> Element | None:
    """The file's root; None where it cannot be read, which is reported."""
    try:
        root: Element = parse(file).getroot()
    except WRONG as error:
        found = f"{type(error).__name__}: {error}"
        report(Finding("annotation", f"{file} cannot be read", found, "an XML file", pictures=(file,)))
        return None
    return root


def root_tag(file: Path) -> str | None:
    """The name of the file's root element, read no further than that; None where it is no XML."""
    try:
        with file.open("rb") as data:
            for _, element in iterparse(data, events=("start",)):
                return str(element.tag)
    except WRONG:
        return None
    return None
