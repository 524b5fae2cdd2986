"""SchemaRegistry: schemas by id over HTTP, as the registries of Confluent, Karapace, Redpanda and Apicurio answer."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote, urlsplit

from fastfeat.errors import DefinitionError, SchemaNotFound, SchemaRegistryError, shown

if TYPE_CHECKING:
    import ssl

    import httpx

__all__ = ["SchemaRegistry"]

MISSING_FOR_S: Final = 30.0
TIMEOUT_S: Final = 10.0
REFERENCES_MAX: Final = 1_000
_CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"


class SchemaRegistry:
    """Schemas of a schema registry, each asked for once: `ff.Avro(registry=registry.avro)`.

    `auth` is a user and a password, `headers` go with every request (a bearer token, say), `verify` is the path of a
    bundle of certificates or an `ssl.SSLContext` (with a client's certificate, say); proxies are those of the
    environment. That an id is not there is remembered for `missing_for_s` seconds, so that messages of nonsense do not
    become a flood of requests. Needs httpx: `pip install "fastfeat[schema-registry]"`.

    >>> SchemaRegistry("https://user:secret@registry.example/path")
    SchemaRegistry('https://registry.example/path')
    """

    def __init__(
        self,
        url: str,
        *,
        auth: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        verify: bool | str | ssl.SSLContext = True,
        timeout_s: float = TIMEOUT_S,
        missing_for_s: float = MISSING_FOR_S,
    ) -> None:
        try:
            import httpx
        except ImportError:
            raise ImportError('SchemaRegistry needs httpx: pip install "fastfeat[schema-registry]"') from None
        if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
            raise DefinitionError("SchemaRegistry", f"url is {shown(url)}; write one such as 'https://host:8081'")
        context: Any = verify
        if isinstance(verify, str):
            import ssl

            context = ssl.create_default_context(cafile=verify)
        self._client = httpx.Client(
            base_url=url.rstrip("/") + "/", auth=auth, headers=headers, verify=context, timeout=timeout_s
        )
        self._missing_for_s = missing_for_s
        self._avro: dict[int, list[str]] = {}
        self._protobuf: dict[int, bytes] = {}
        self._missing: dict[int, float] = {}
        parts = urlsplit(url)
        self._shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def avro(self, schema_id: int) -> list[str]:
        """The text of an Avro schema, then those that it refers to. Raises SchemaNotFound where there is none."""
        if schema_id not in self._avro:
            found = self._schema(schema_id, "AVRO")
            references = self._references(found.get("references") or (), {}, serialized=False)
            self._avro[schema_id] = [found["schema"], *(text for _, text in references)]
        return self._avro[schema_id]

    def protobuf(self, schema_id: int) -> bytes:
        """A `FileDescriptorSet` of a Protobuf schema and what it imports. Raises SchemaNotFound where there is none."""
        if schema_id not in self._protobuf:
            found = self._schema(schema_id, "PROTOBUF")
            references = self._references(found.get("references") or (), {}, serialized=True)
            # Of a field that is there twice the last counts: each file gets the name by which it is imported.
            files = [self._file(text) + _sized(0x0A, name.encode()) for name, text in references]
            files.append(self._file(found["schema"]))
            self._protobuf[schema_id] = b"".join(_sized(0x0A, file) for file in files)
        return self._protobuf[schema_id]

    def register(
        self,
        subject: str,
        schema: str | Mapping[str, Any],
        *,
        schema_type: Literal["AVRO", "PROTOBUF", "JSON"] = "AVRO",
    ) -> int:
        """Registers a schema under a subject, such as `scored-value`; its id, also where it was there before."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        body = {"schema": text, **({} if schema_type == "AVRO" else {"schemaType": schema_type})}
        answer = self._ask("POST", f"subjects/{quote(subject, safe='')}/versions", body=body)
        return int(self._member(answer, "id", int))

    def incompatible(self, subject: str, schema: str | Mapping[str, Any]) -> str | None:
        """Why the subject would not take the Avro schema; None where it would. Registers nothing."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        path = f"compatibility/subjects/{quote(subject, safe='')}/versions/latest"
        try:
            answer = self._ask("POST", path, {"verbose": "true"}, body={"schema": text})
        except SchemaNotFound:
            return None  # It has no version yet.
        if self._member(answer, "is_compatible", bool):
            return None
        return f"subject `{subject}` has a version that it is not compatible with: {shown(answer.get('messages'))}"

    def close(self) -> None:
        """Closes its connections; they are opened again when they are needed."""
        self._client.close()

    def __repr__(self) -> str:
        return f"SchemaRegistry({self._shown!r})"

    def _schema(self, schema_id: int, kind: str) -> dict[str, Any]:
        until = self._missing.get(schema_id)
        if until is not None and time.monotonic() < until:
            raise SchemaNotFound(self._shown, f"schema id {schema_id} was not there a moment ago")
        parameters = {"format": "serialized"} if kind == "PROTOBUF" else {}
        try:
            found = self._ask("GET", f"schemas/ids/{schema_id}", parameters)
        except SchemaNotFound:
            self._missing = {id: until for id, until in self._missing.items() if until > time.monotonic()}
            self._missing[schema_id] = time.monotonic() + self._missing_for_s
            raise
        self._missing.pop(schema_id, None)
        if found.get("schemaType", "AVRO") != kind:
            raise SchemaNotFound(self._shown, f"schema {schema_id} is {shown(found.get('schemaType'))} and no {kind}")
        self._member(found, "schema", str)
        return found

    def _references(
        self, references: Any, found: dict[tuple[str, int], str], serialized: bool
    ) -> list[tuple[str, str]]:
        """What is referred to, by name; first what others of it refer to."""
        listed: list[tuple[str, str]] = []
        for reference in references:
            subject, version = self._member(reference, "subject", str), self._member(reference, "version", int)
            if (subject, version) in found:
                continue
            if len(found) >= REFERENCES_MAX:
                raise SchemaRegistryError(self._shown, f"a schema refers to more than {REFERENCES_MAX} others")
            path = f"subjects/{quote(subject, safe='')}/versions/{version}"
            answer = self._ask("GET", path, {"format": "serialized"} if serialized else {})
            text = found[subject, version] = self._member(answer, "schema", str)
            listed += self._references(answer.get("references") or (), found, serialized)
            listed.append((self._member(reference, "name", str), text))
        return listed

    def _ask(
        self, method: str, path: str, parameters: Mapping[str, str] | None = None, *, body: object = None
    ) -> dict[str, Any]:
        import httpx

        content = None if body is None else json.dumps(body)
        headers = {"Accept": f"{_CONTENT_TYPE}, application/json", "Content-Type": _CONTENT_TYPE}
        try:
            answer = self._client.request(method, path, params=parameters, content=content, headers=headers)
        except httpx.HTTPError as error:
            raise SchemaRegistryError(
                self._shown, f"{method} {path} failed: {error or type(error).__name__}"
            ) from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise SchemaNotFound(self._shown, f"{method} {path}: {_told(answer)}")
        if answer.is_success:
            try:
                found = answer.json()
            except ValueError:
                found = None
            if isinstance(found, dict):
                return found
            raise SchemaRegistryError(self._shown, f"{method} {path} answered {shown(answer.text)}, which is no object")
        hint = "; is `auth` right?" if answer.status_code in (401, 403) else ""
        raise SchemaRegistryError(
            self._shown, f"{method} {path} answered {answer.status_code}: {_told(answer)}{hint}", answer.status_code
        )

    def _member(self, answer: Any, name: str, kind: type) -> Any:
        found = answer.get(name) if isinstance(answer, dict) else None
        if not isinstance(found, kind):
            raise SchemaRegistryError(
                self._shown, f"its answer {shown(answer)} has no `{name}`; is it a schema registry?"
            )
        return found

    def _file(self, text: str) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise SchemaRegistryError(
                self._shown, "it does not serialize Protobuf schemas (format=serialized); give descriptors instead"
            ) from None


def _sized(tag: int, data: bytes) -> bytes:
    """A field of bytes as Protobuf writes it."""
    length, rest = bytearray(), len(data)
    while rest >= 0x80:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    length.append(rest)
    return bytes([tag, *length]) + data


def _told(answer: httpx.Response) -> str:
    try:
        return shown(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return shown(answer.text)
