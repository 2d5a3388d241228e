"""The settings of coding agents: which one works, with which model, and how it reaches GitHub."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, get_args

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import AliasChoices, Field, TypeAdapter, ValidationError

from soulcaster.domain.fixes.order import AgentOrder, Author, CodingAgent, ModelApi
from soulcaster.errors import BadInput
from soulcaster.processes.addresses import http_address
from soulcaster.processes.system_settings import GeminiSettings

PROMPT_FILE = "{prompt_file}"
"""The word of a command template that stands for the file of the prompt."""

_OWN_API: Mapping[CodingAgent, ModelApi] = {"claude": "anthropic", "codex": "openai", "gemini": "gemini"}
"""The only API that these coding agents speak."""

_ADDRESSES: Mapping[ModelApi, str] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com",
}
"""Where the vendors' APIs are, as their own clients write it."""

_PREDECESSORS_PROVIDERS: Mapping[str, ModelApi] = {
    "openai-native": "openai", "openrouter": "openai", "kilocode": "openai", "google": "gemini",
}  # fmt: skip

_NEEDS_ADDRESS = frozenset({"openrouter", "kilocode"})
"""Providers of the predecessor that speak OpenAI's API at an address of their own."""

_AGENTS: tuple[CodingAgent, ...] = get_args(CodingAgent)
_APIS: tuple[ModelApi, ...] = get_args(ModelApi)

_PRICES: TypeAdapter[dict[str, tuple[float, float]]] = TypeAdapter(dict[str, tuple[float, float]])


class CodingAgentSettings(GeminiSettings):
    """Settings of coding agents, of the web server, which gives them to jobs, and of the launcher."""

    section: ClassVar[str] = "Coding agents"

    agent: str = Field(
        "",
        description="Coding agent that works on fixes: `kilo`, `opencode`, `claude`, `codex`, `gemini`, `aider`, or "
        "`command`, which is any program; empty sets up none, and jobs only rehearse.",
    )
    agent_command: str = Field(
        "",
        description="Command line of the agent `command`, without a shell; `{prompt_file}` and `{model}` are replaced "
        "in it.",
    )
    model: str = Field(
        "",
        validation_alias=AliasChoices("SOULCASTER_MODEL", "KILO_API_MODEL_ID"),
        description="Model that the coding agent uses, as its API names it.",
    )
    model_api: str = Field(
        "",
        validation_alias=AliasChoices("SOULCASTER_MODEL_API", "KILOCODE_PROVIDER"),
        description="API that the model speaks: `openai` (and everything compatible with it), `anthropic` or `gemini`; "
        "empty means `anthropic` for the agent `claude`, `gemini` for the agent `gemini`, else `openai`.",
    )
    model_url: str = Field(
        "",
        description="Address of the model's API as clients of that API write it: with `/v1` for `openai`, without a "
        "version for the others; empty means the vendor's own.",
    )
    model_key: str = Field(
        "",
        repr=False,
        exclude=True,
        description="Key of the model's API; empty means the vendor's key below, by the API. Where none is needed, any "
        "word.",
    )
    anthropic_key: str = Field(
        "",
        repr=False,
        exclude=True,
        validation_alias=AliasChoices("ANTHROPIC_API_KEY"),
        description="Key for the API `anthropic`.",
    )
    openai_key: str = Field(
        "",
        repr=False,
        exclude=True,
        validation_alias=AliasChoices("OPENAI_API_KEY"),
        description="Key for the API `openai`.",
    )
    model_prices: str = Field(
        "",
        description="Prices of models in US dollars for a million tokens in and out, as JSON, such as "
        '{"my-model": [0.5, 2]}; needed for models whose price is not known, and preferred for others.',
    )
    github_app_id: str = Field(
        "",
        validation_alias=AliasChoices("GITHUB_APP_ID"),
        description="Id of the GitHub App as which jobs clone and push; without one they use `GITHUB_TOKEN`, else the "
        "token that the request for the fix brought.",
    )
    github_app_private_key: str = Field(
        "",
        repr=False,
        exclude=True,
        validation_alias=AliasChoices("GITHUB_APP_PRIVATE_KEY"),
        description="Private key of that App: the text of its PEM file, or the path of it.",
    )
    git_user_name: str = Field(
        "Soulcaster", validation_alias=AliasChoices("GIT_USER_NAME"), description="Name of the author of commits."
    )
    git_user_email: str = Field(
        "soulcaster@localhost",
        validation_alias=AliasChoices("GIT_USER_EMAIL"),
        description="E-mail address of the author of commits.",
    )

    def check_agent(self) -> None:
        """Return when these settings can be used together.

        Raises:
            BadInput: they cannot.
        """
        self.app_key()
        self.author()
        self.prices()
        if self.coding_agent() is None:
            return
        if not self.model:
            raise BadInput("SOULCASTER_AGENT needs a model: set SOULCASTER_MODEL.")
        self.command()
        self.model_address()
        if not self.key_of_model():
            name = {"openai": "OPENAI", "anthropic": "ANTHROPIC", "gemini": "GEMINI"}[self.api_of_model()]
            raise BadInput(f"SOULCASTER_AGENT needs a key of its model: set SOULCASTER_MODEL_KEY or {name}_API_KEY.")

    def coding_agent(self) -> CodingAgent | None:
        """Return the coding agent, None where none is set up.

        Raises:
            BadInput: the value is none that we can drive.
        """
        if not self.agent:
            return None
        for agent in _AGENTS:
            if agent == self.agent:
                return agent
        raise BadInput(f"SOULCASTER_AGENT must be one of {', '.join(_AGENTS)}, not {self.agent!r}.")

    def command(self) -> tuple[str, ...]:
        """Return the words of the command template, none for any agent but `command`.

        Raises:
            BadInput: the template is missing, is no command line, or has no place for the prompt.
        """
        if self.coding_agent() != "command":
            if self.agent_command:
                raise BadInput("SOULCASTER_AGENT_COMMAND is for SOULCASTER_AGENT=command only.")
            return ()
        try:
            words = tuple(shlex.split(self.agent_command))
        except ValueError as error:
            raise BadInput(f"SOULCASTER_AGENT_COMMAND is not a command line: {error}.") from error
        if not any(PROMPT_FILE in word for word in words):
            raise BadInput(f"SOULCASTER_AGENT=command needs SOULCASTER_AGENT_COMMAND, with {PROMPT_FILE} in it.")
        return words

    def api_of_model(self) -> ModelApi:
        """Return the API that the model speaks.

        Raises:
            BadInput: the value is none that we know, or the coding agent does not speak it.
        """
        agent = self.coding_agent()
        own = None if agent is None else _OWN_API.get(agent)
        if not self.model_api:
            return own or "openai"
        given = self.model_api.strip().lower()
        api = _PREDECESSORS_PROVIDERS.get(given) or next((api for api in _APIS if api == given), None)
        if api is None:
            raise BadInput(f"SOULCASTER_MODEL_API must be one of {', '.join(_APIS)}, not {self.model_api!r}.")
        if own not in {None, api}:
            raise BadInput(f"The coding agent {agent} speaks the API {own} only, and SOULCASTER_MODEL_API is {api}.")
        return api

    def model_address(self) -> str:
        """Return the address of the model's API.

        Raises:
            BadInput: the value is not an address, or it is missing for a provider that has one of its own.
        """
        api = self.api_of_model()
        if self.model_url:
            return str(http_address("SOULCASTER_MODEL_URL", self.model_url)).rstrip("/")
        if self.model_api.strip().lower() in _NEEDS_ADDRESS:
            raise BadInput(f"KILOCODE_PROVIDER={self.model_api} needs SOULCASTER_MODEL_URL, its OpenAI-compatible API.")
        return _ADDRESSES[api]

    def key_of_model(self) -> str:
        """Return the key of the model's API, empty where there is none."""
        vendors = {"openai": self.openai_key, "anthropic": self.anthropic_key, "gemini": self.gemini_key}
        return self.model_key or vendors[self.api_of_model()]

    def prices(self) -> Mapping[str, tuple[float, float]]:
        """Return the prices of a million tokens in and out in US dollars, by the name of the model.

        Raises:
            BadInput: the value has another form.
        """
        if not self.model_prices:
            return {}
        try:
            prices = _PRICES.validate_python(json.loads(self.model_prices))
        except (ValueError, ValidationError):
            prices = {"": (-1.0, -1.0)}
        if any(not 0 <= price < 1_000_000 for pair in prices.values() for price in pair):
            raise BadInput('SOULCASTER_MODEL_PRICES must be JSON such as {"my-model": [0.5, 2]}, prices not below 0.')
        return prices

    def agent_order(self) -> AgentOrder | None:
        """Return the coding agent as jobs get it, None where none is set up.

        Raises:
            BadInput: the settings cannot be used together.
        """
        agent = self.coding_agent()
        if agent is None:
            return None
        return AgentOrder(agent, self.model, self.api_of_model(), self.command(), self.prices().get(self.model))

    def author(self) -> Author:
        """Return the author of commits.

        Raises:
            BadInput: the name or the address cannot be in a commit.
        """
        for variable, value in (("GIT_USER_NAME", self.git_user_name), ("GIT_USER_EMAIL", self.git_user_email)):
            if not value.strip() or not value.isprintable() or set(value) & set("<>") or len(value) > 200:
                raise BadInput(f"{variable} must be text on one line without < and >.")
        if "@" not in self.git_user_email:
            raise BadInput("GIT_USER_EMAIL is not an e-mail address.")
        return Author(self.git_user_name.strip(), self.git_user_email.strip())

    def app_key(self) -> str | None:
        """Return the private key of the GitHub App as PEM, None where there is no App.

        Raises:
            BadInput: only one of id and key is set, or the key is neither a PEM text nor a file that holds one.
        """
        if bool(self.github_app_id) != bool(self.github_app_private_key):
            raise BadInput("GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY go together, and one is missing.")
        if not self.github_app_id:
            return None
        given = self.github_app_private_key.replace("\\n", "\n").strip()
        if "-----BEGIN" not in given:
            try:
                given = Path(given).read_text()
            except (OSError, ValueError):
                given = ""
        try:
            key = load_pem_private_key(given.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, RSAPrivateKey):
            raise BadInput("GITHUB_APP_PRIVATE_KEY is neither an RSA private key in PEM nor the path of one.")
        return given

    def secrets(self) -> frozenset[str]:
        """Return the keys and passwords among these settings, with the App's key where a file holds it."""
        key = self.app_key()
        return super().secrets() | (frozenset() if key is None else {key})
