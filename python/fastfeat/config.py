"""Settings of the worker: from a TOML file, from the environment (`FASTFEAT_...`, which wins), with defaults."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from fastfeat.errors import FastfeatError

__all__ = ["ConfigError", "Settings", "read_settings"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ConfigError(FastfeatError, ValueError):
    """A setting that cannot be; the message says which and the way out."""

    code = "config"


class Settings(BaseSettings):
    """What differs from one place to another. Secrets print as stars."""

    model_config = SettingsConfigDict(env_prefix="FASTFEAT_", extra="forbid", hide_input_in_errors=True)

    servers: str = "127.0.0.1:9092"
    """Kafka brokers to begin with: host:port, separated by commas."""
    group: str = "fastfeat"
    """The consumer group; workers of one group share the partitions."""
    instance: str | None = None
    """Static membership: a name that this worker keeps over restarts, and no other has."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_key_password: SecretStr | None = None
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI"] = "PLAIN"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    session_timeout_ms: int = Field(10_000, ge=500)
    request_timeout_ms: int = Field(20_000, ge=1_000)
    transaction_timeout_ms: int = Field(15_000, ge=1_000)
    publish_deadline_ms: int = Field(10_000, ge=100)
    """A transaction that takes longer is given up and looked for with a new producer."""
    batch_rows: int = Field(5_000, ge=1)
    """Events in one transaction at most."""
    batch_ms: int = Field(20, ge=0)
    """How long a transaction waits for more events, after its first."""
    fetch_bytes: int = Field(1_048_576, ge=1_024)
    """Bytes that are fetched ahead for each partition."""
    compression: Literal["gzip", "snappy", "lz4", "zstd"] | None = None
    checkpoint: str | Path | None = None
    """The folder of checkpoints or its address in an object store, in place of the pipeline's own."""
    checkpoint_every_s: float = Field(30.0, gt=0)
    checkpoint_keep: int = Field(3, ge=2)
    give_up_after_s: float = Field(300.0, gt=0)
    """How long one and the same thing may fail before the worker exits with code 3."""
    stop_deadline_s: float = Field(20.0, gt=0)
    """How long SIGTERM waits for transactions and last checkpoints."""
    http_host: str = "127.0.0.1"
    http_port: int | None = Field(None, ge=0, le=65_535)
    """Where /metrics, /livez, /healthz and /readyz are; none by default. 0 is any free port."""
    http_token: SecretStr | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    traces: bool = False
    """OpenTelemetry spans, sent as the OTEL_... variables say."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @model_validator(mode="after")
    def _together(self) -> Settings:
        if self.security_protocol.startswith("SASL") and self.sasl_mechanism != "GSSAPI" and not self.sasl_username:
            raise ValueError(f"security_protocol={self.security_protocol} needs sasl_username and sasl_password")
        if self.http_port is not None and self.http_host not in LOOPBACK and self.http_token is None:
            raise ValueError(f"http_host={self.http_host} can be reached from elsewhere; set http_token, or 127.0.0.1")
        if self.publish_deadline_ms >= self.request_timeout_ms:
            raise ValueError("publish_deadline_ms is to be below request_timeout_ms, or it never comes first")
        return self

    def connection(self) -> dict[str, Any]:
        """What every client of Kafka is given."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.servers,
            "security_protocol": self.security_protocol,
            "request_timeout_ms": self.request_timeout_ms,
        }
        if self.security_protocol.endswith("SSL"):
            context = ssl.create_default_context(cafile=self.tls_ca)
            if self.tls_certificate is not None:
                password = None if self.tls_key_password is None else self.tls_key_password.get_secret_value()
                context.load_cert_chain(self.tls_certificate, self.tls_key, password)
            options["ssl_context"] = context
        if self.security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.sasl_username
            options["sasl_plain_password"] = self.sasl_password and self.sasl_password.get_secret_value()
        return options


def read_settings(path: Path | None = None, **given: Any) -> Settings:
    """The settings of a file (by default `fastfeat.toml`, if there is one), the environment and `given`."""
    if path is not None and not path.is_file():
        raise ConfigError(f"config `{path}` is no file")

    class Read(Settings):
        model_config = SettingsConfigDict(toml_file=path or "fastfeat.toml")

    try:
        return Read(**given)
    except ValidationError as error:
        each = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'settings'}: {one['msg']}" for one in error.errors())
        raise ConfigError(f"{each} (set it in {path or 'fastfeat.toml'} or as FASTFEAT_<NAME>)") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"config `{path or 'fastfeat.toml'}` cannot be read: {error}") from None
