"""SchemaRegistry against a small HTTP server that answers as Confluent's does."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fastfeat as ff
import pytest
from fastfeat import DefinitionError, Engine, SchemaNotFound, SchemaRegistry, SchemaRegistryError, Stream, count
from google.protobuf import descriptor_pb2

TAPS = Stream("taps", {"ts": ff.Timestamp("us"), "user": ff.String(default="u")}, time="ts")
FEATURES = TAPS.features(n=count().over("user"))
TAP = {"type": "record", "name": "tap", "fields": [{"name": "ts", "type": "long"}, {"name": "user", "type": "a.user"}]}
USER = {"type": "enum", "name": "user", "namespace": "a", "symbols": ["x", "y"]}
AUTH = "Basic " + base64.b64encode(b"user:secret").decode()


def descriptor(name, package, fields, imports=()):
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3", dependency=imports)
    message = file.message_type.add(name="Tap")
    for number, (field, kind, type_name) in enumerate(fields, 1):
        message.field.add(name=field, number=number, type=kind, type_name=type_name, label=1)
    return base64.b64encode(file.SerializeToString()).decode()


SUBJECTS = {
    ("user-value", 1): {"subject": "user-value", "version": 1, "schema": json.dumps(USER)},
    # A registry may call a file anything; what imports it knows it by the name of the reference.
    ("inner", 2): {"schema": descriptor("default", "inner", [("x", 1, None)])},
}
SCHEMAS = {
    7: {"schema": json.dumps(TAP), "references": [{"name": "a.user", "subject": "user-value", "version": 1}]},
    8: {
        "schemaType": "PROTOBUF",
        "schema": descriptor("default2", "outer", [("ts", 3, None), ("more", 11, ".inner.Tap")], ["of/inner.proto"]),
        "references": [{"name": "of/inner.proto", "subject": "inner", "version": 2}],
    },
    10: {"schema": 3},
}


class Registry(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refused(self):
        self.server.asked.append((self.command, self.path, self.headers.get("X-Tenant")))
        if self.headers.get("Authorization") != AUTH:
            self.answer(401, {"error_code": 401, "message": "Unauthorized"})
            return True
        return False

    def do_GET(self):
        if self.refused():
            return
        path, _, query = self.path.removeprefix("/api/").partition("?")
        parts = path.split("/")
        found = SCHEMAS.get(int(parts[2])) if parts[0] == "schemas" else SUBJECTS.get((parts[1], int(parts[3])))
        if path == "schemas/ids/11":
            self.answer(500, b"<html>oops</html>")
        elif path == "schemas/ids/12":
            self.answer(200, b"<html>hello</html>")
        elif found is None:
            self.answer(404, {"error_code": 40403, "message": "Schema not found"})
        else:
            is_protobuf = found.get("schemaType") == "PROTOBUF" or parts[1] == "inner"
            text = {"schema": 'syntax = "proto3";'} if is_protobuf and query != "format=serialized" else {}
            self.answer(200, found | text)

    def do_POST(self):
        if self.refused():
            return
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Content-Type"] == "application/vnd.schemaregistry.v1+json"
        if self.path.startswith("/api/compatibility"):
            assert self.path.endswith("/versions/latest?verbose=true")
            if "new" in self.path:
                self.answer(404, {"error_code": 40401, "message": "Subject not found"})
            else:
                self.answer(200, {"is_compatible": "good" in self.path, "messages": ["a field went"]})
            return
        self.server.registered.append((self.path, body))
        self.answer(200, {"id": 40 + len(self.server.registered)})


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    server.asked, server.registered = [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def url(server):
    return f"http://127.0.0.1:{server.server_port}/api"


@pytest.fixture
def registry(server):
    registry = SchemaRegistry(url(server), auth=("user", "secret"), headers={"X-Tenant": "t"})
    yield registry
    registry.close()


def test_avro_messages_are_read_with_schemas_and_references_of_the_registry(server, registry):
    engine, format = Engine(FEATURES), ff.Avro(registry=registry.avro)
    messages = [b"\0\0\0\0\x07" + bytes([2 * ts, 2]) for ts in range(3)]
    assert engine.push_messages(messages, format=format).values.tolist() == [[1.0], [2.0], [3.0]]
    assert server.asked == [("GET", "/api/schemas/ids/7", "t"), ("GET", "/api/subjects/user-value/versions/1", "t")]
    # Another engine has its own decoder, and the registry its own memory.
    assert Engine(FEATURES).push_messages(messages, format=format).values.tolist() == [[1.0], [2.0], [3.0]]
    assert len(server.asked) == 2


def test_protobuf_messages_are_read_with_descriptors_of_the_registry(registry):
    format = ff.Protobuf(registry=registry.protobuf)
    outcome = Engine(FEATURES).push_messages([b"\0\0\0\0\x08\0" + b"\x08\x05"], format=format)
    assert outcome.values.tolist() == [[1.0]], outcome.problems


def test_an_id_that_is_not_there_is_a_problem_and_is_not_asked_for_again_at_once(server, registry):
    engine, format = Engine(FEATURES), ff.Avro(registry=registry.avro)
    for _ in range(3):
        (problem,) = engine.push_messages([b"\0\0\0\0\x09"], format=format).problems
        assert "schema id 9 is not known" in problem.message
    assert len(server.asked) == 1
    patient = SchemaRegistry(url(server), auth=("user", "secret"), missing_for_s=0)
    for _ in range(2):
        with pytest.raises(SchemaNotFound, match="Schema not found"):
            patient.avro(9)
    assert len(server.asked) == 3


def test_a_schema_of_another_kind_is_not_found(registry):
    with pytest.raises(SchemaNotFound, match="is 'PROTOBUF' and no AVRO"):
        registry.avro(8)


@pytest.mark.parametrize(
    ("schema_id", "told"),
    [
        (10, "has no `schema`"),
        (11, "answered 500: '<html>oops</html>'"),
        (12, "which is no object"),
    ],
)
def test_other_answers_are_errors(registry, schema_id, told):
    with pytest.raises(SchemaRegistryError, match=told) as caught:
        registry.avro(schema_id)
    assert not isinstance(caught.value, LookupError)


def test_a_registry_that_is_away_is_an_error_and_nothing_is_taken(server):
    engine = Engine(FEATURES)
    for registry in (SchemaRegistry("http://127.0.0.1:1"), SchemaRegistry(url(server), auth=("user", "wrong"))):
        with pytest.raises(SchemaRegistryError, match=r"failed|is `auth` right") as caught:
            engine.push_messages([b"\0\0\0\0\x07\0\0"], format=ff.Avro(registry=registry.avro))
        assert isinstance(caught.value, ConnectionError)
    assert engine.stats()["invalid"] == 0


def test_schemas_of_rows_are_registered_and_the_id_is_written_before_each(server, registry):
    schema_id = registry.register("scored/value", ff.avro_schema(FEATURES))
    assert schema_id == 41
    ((path, body),) = server.registered
    assert path == "/api/subjects/scored%2Fvalue/versions"
    assert json.loads(body["schema"]) == ff.avro_schema(FEATURES)
    assert "schemaType" not in body
    assert registry.register("scored", 'syntax = "proto3";', schema_type="PROTOBUF") == 42
    assert server.registered[1][1]["schemaType"] == "PROTOBUF"


def test_whether_a_subject_would_take_a_schema_is_asked_without_registering_it(server, registry):
    schema = ff.avro_schema(FEATURES)
    assert registry.incompatible("good", schema) is None
    assert registry.incompatible("new", schema) is None
    assert registry.incompatible("bad", schema) == (
        "subject `bad` has a version that it is not compatible with: ['a field went']"
    )
    assert server.registered == []


def test_passwords_are_never_shown(server):
    with_user = url(server).replace("http://", "http://user:secret@")
    registry = SchemaRegistry(with_user)
    assert registry.avro(7)
    with pytest.raises(SchemaNotFound) as caught:
        registry.avro(9)
    assert "secret" not in repr(registry) + str(caught.value) + repr(caught.value)


def test_what_is_no_url_is_refused():
    with pytest.raises(DefinitionError, match="url is 'registry:8081'"):
        SchemaRegistry("registry:8081")


def test_certificates_are_checked_by_the_bundle_that_is_given(tmp_path):
    with pytest.raises(FileNotFoundError):
        SchemaRegistry("https://registry", verify=str(tmp_path / "missing.pem"))
