"""Settings of the worker: where they come from, what they refuse, and that secrets stay secret."""

from pathlib import Path

import pytest
from fastfeat.config import ConfigError, Settings, read_settings


def test_the_environment_wins_over_the_file(tmp_path, monkeypatch):
    path = tmp_path / "fastfeat.toml"
    path.write_text('servers = "a:1"\ngroup = "from-file"\n')
    monkeypatch.setenv("FASTFEAT_GROUP", "from-environment")
    settings = read_settings(path)
    assert (settings.servers, settings.group) == ("a:1", "from-environment")


def test_the_file_of_the_working_directory_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fastfeat.toml").write_text('group = "here"\n')
    assert read_settings().group == "here"


def test_secrets_are_never_printed(monkeypatch):
    monkeypatch.setenv("FASTFEAT_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    monkeypatch.setenv("FASTFEAT_SASL_USERNAME", "me")
    monkeypatch.setenv("FASTFEAT_SASL_PASSWORD", "hunter2")
    settings = read_settings()
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert settings.connection()["sasl_plain_password"] == "hunter2"


def test_tls_is_passed_on(monkeypatch):
    monkeypatch.setenv("FASTFEAT_SECURITY_PROTOCOL", "SSL")
    assert read_settings().connection()["ssl_context"].verify_mode.name == "CERT_REQUIRED"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"batch_rows": 0}, "batch_rows"),
        ({"serverz": "a:1"}, "serverz"),
        ({"http_host": "0.0.0.0", "http_port": 80}, "set http_token"),
        ({"security_protocol": "SASL_SSL"}, "needs sasl_username"),
        ({"publish_deadline_ms": 30_000}, "below request_timeout_ms"),
        ({"checkpoint_keep": 1}, "checkpoint_keep"),
    ],
)
def test_what_cannot_be_is_refused(given, told):
    with pytest.raises(ConfigError, match=told):
        read_settings(**given)


def test_a_wrong_value_of_a_secret_is_not_repeated(monkeypatch):
    monkeypatch.setenv("FASTFEAT_BATCH_ROWS", "s3cret-in-the-wrong-place")
    with pytest.raises(ConfigError) as told:
        read_settings()
    assert "s3cret" not in str(told.value)


def test_a_file_that_is_not_there_or_no_toml(tmp_path):
    with pytest.raises(ConfigError, match="is no file"):
        read_settings(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("= = =")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_settings(tmp_path / "bad.toml")


def test_the_guide_names_every_setting():
    guide = (Path(__file__).parents[1] / "docs" / "guides" / "worker.md").read_text()
    assert not [name for name in Settings.model_fields if f"`{name}`" not in guide]
