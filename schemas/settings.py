"""Settings, read once from the environment at the start of a process and handed down from there.

Every figure has its unit in its name. Names without a prefix are the outside contract (DATABASE_URL ...); the rest
start with ``ASSAY_``.
"""

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.alerts import read_rules

PROVIDER_URL = "https://api.anthropic.com"
"""Where the real model API answers when ANTHROPIC_BASE_URL is unset and a key is set."""


def _outside(name: str) -> AliasChoices:
    """An environment variable of the outside contract, known by this name alone."""
    return AliasChoices(name)


class Settings(BaseSettings):
    """All that may differ between two installations.

    Processes read them with :func:`read_settings`, which says in one sentence what is wrong.
    """

    model_config = SettingsConfigDict(env_prefix="ASSAY_", extra="ignore", frozen=True, populate_by_name=True)

    home: Path = Field(default_factory=lambda: Path.home() / ".assay")
    database_url: str | None = Field(default=None, validation_alias=_outside("DATABASE_URL"))
    database_admin_url: str | None = Field(default=None, validation_alias=_outside("DATABASE_ADMIN_URL"))
    redis_url: str | None = Field(default=None, validation_alias=_outside("REDIS_URL"))
    broker_url: str | None = Field(default=None, validation_alias=_outside("BROKER_URL"))
    anthropic_api_key: SecretStr | None = Field(default=None, validation_alias=_outside("ANTHROPIC_API_KEY"))
    anthropic_base_url: str | None = Field(default=None, validation_alias=_outside("ANTHROPIC_BASE_URL"))

    # Models by role. Only settings name model ids; a tier whose model equals the one below adds nothing and is skipped.
    model_small: str = "claude-haiku-5-5"
    model_standard: str = "claude-sonnet-5-5"
    model_deep: str = "claude-opus-5-5"

    # Workers
    worker_processes: int = Field(default=2, ge=1, le=64)
    worker_slots: int = Field(default=50, ge=1, le=200, description="jobs that one process runs at a time")
    calls_per_client: int = Field(default=25, ge=1, le=100, description="a larger shared pool costs CPU (httpcore)")
    native_submit: bool = Field(default=True, description="accept documents in Celery messages (send_task)")

    log_format: Literal["console", "json"] = Field(
        default="console", description="log lines for people or for programs"
    )

    # The web: API, review desk, operators' pages
    url: str | None = Field(default=None, description="where the API is; the command line then speaks to it")
    api_key: SecretStr | None = Field(default=None, description="the key with which the command line speaks to it")
    web_port: int = Field(default=8400, ge=0, le=65535, description="of `assay up`; 0 takes any that is free")
    web_public_url: str | None = Field(default=None, description="as people and webhooks reach it, for links")
    web_secure_cookies: bool = Field(default=False, description="sign-in over TLS alone; set it behind a TLS proxy")
    web_requests_per_minute: int = Field(default=6000, ge=1, description="per API key that has no limit of its own")
    webhook_private: bool = Field(
        default=False, description="webhooks may lead to private addresses and over plain HTTP"
    )
    stream_key: SecretStr | None = Field(
        default=None, min_length=32, description="seals partial text on its way through Redis; unset: no partial text"
    )

    alerts: str | None = Field(
        default=None,
        description="alert rules: a JSON array, or the path of a file with one; unset: the defaults; []: none",
    )

    # Time, in seconds
    lease_seconds: float = Field(default=30, ge=1)
    heartbeat_seconds: float = Field(default=10, ge=0.2)
    sweep_seconds: float = Field(default=5, ge=0.2)
    published_seconds: float = Field(
        default=20, ge=0.5, description="a published job not claimed by then is rung for again, if slots are free"
    )
    duty_seconds: float = Field(
        default=3, ge=0.5, description="dispatcher and sweeper are replaced when their turn is overdue by this"
    )
    deaf_seconds: float = Field(
        default=45,
        ge=1,
        description="a process that hears nothing for so long, while jobs wait and it has room, ends itself; at least"
        " twice published_seconds",
    )
    call_seconds: float = Field(default=120, ge=0.1, description="one model call, first byte to last")
    job_seconds: float = Field(default=600, ge=1, description="one run of a job, all its calls together")
    review_lease_seconds: float = Field(default=900, ge=1)
    stop_seconds: float = Field(default=10, ge=0.1, description="what a stopping worker gives its running jobs")

    # Admission: limits of the provider account, each also learned from the provider's answers; unset: learned only
    requests_per_minute: int | None = Field(default=None, ge=1, description="per model")
    input_tokens_per_minute: int | None = Field(default=None, ge=1, description="per model")
    output_tokens_per_minute: int | None = Field(default=None, ge=1, description="per model")
    concurrent_calls: int | None = Field(default=None, ge=1, description="per model, over all workers")
    breaker_failures: int = Field(default=5, ge=1, description="failures within 10 s that open a model's breaker")
    breaker_open_seconds: float = Field(default=5, ge=0.1, description="until the first probe of an open breaker")
    breaker_open_max_seconds: float = Field(default=60, ge=0.1, description="between probes at most")

    # Tries
    max_tries: int = Field(default=3, ge=1, description="runs of one job that ended in a failure worth trying again")
    max_waits: int = Field(default=20, ge=0, description="times a job may be put back for an outage of the provider")
    wait_seconds: float = Field(
        default=2, ge=0, description="first wait after an outage; doubles up to wait_max_seconds"
    )
    wait_max_seconds: float = Field(default=60, ge=0)
    transport_tries: int = Field(default=2, ge=1, description="calls within one run for one transport error")
    transport_wait_seconds: float = Field(default=0.5, ge=0)
    transport_wait_max_seconds: float = Field(default=2, ge=0, description="longer waits put the job back instead")

    @field_validator(
        "database_url", "database_admin_url", "redis_url", "broker_url", "anthropic_api_key", "anthropic_base_url",
        "url", "api_key", "web_public_url", "stream_key", "alerts", mode="before",
    )  # fmt: skip
    @classmethod
    def _blank_is_unset(cls, value: object) -> object:
        """Compose files pass an unset variable on as an empty one."""
        return None if value == "" else value

    @field_validator("alerts")
    @classmethod
    def _rules_parse(cls, value: str | None) -> str | None:
        """Refused at the start of a process, not when they are first looked at."""
        read_rules(value)
        return value

    @property
    def broker(self) -> str | None:
        """Where Celery's messages go: BROKER_URL, else REDIS_URL."""
        return self.broker_url or self.redis_url

    @property
    def tiers(self) -> dict[str, str]:
        """Model id by tier, cheapest first."""
        return {"small": self.model_small, "standard": self.model_standard, "deep": self.model_deep}


class SettingsRefused(ValueError):
    """A variable of the environment does not parse; the message names it and says how."""


def read_settings() -> Settings:
    """The settings of this process.

    Raises:
        SettingsRefused: in one sentence.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"{_variable(str(e['loc'][0]))}: {_lower(e['msg'])}" for e in error.errors(include_input=False)]
        raise SettingsRefused(f"An environment variable is wrong: {'; '.join(wrong)}.") from None


def _variable(location: str) -> str:
    """The variable's name: those of the outside contract are located by it, the others by their field."""
    return location if location.isupper() else f"ASSAY_{location.upper()}"


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
