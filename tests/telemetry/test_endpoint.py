"""Who is called: provider, address and port."""

from __future__ import annotations

import openai
import pytest

from tokentrail.model.endpoint import endpoint_of, socket_endpoint_of

HOSTS = [
    ("https://api.openai.com/v1", "openai", "api.openai.com", 443),
    ("https://eu.api.openai.com/v1", "openai", "eu.api.openai.com", 443),
    ("http://localhost:8000/v1", "openai", "localhost", 8000),
    ("http://localhost/v1", "openai", "localhost", 80),
    ("http://[::1]:11434/v1", "openai", "::1", 11434),
    ("https://gateway.example:8443/v1", "openai", "gateway.example", 8443),
    ("https://mine.openai.azure.com/openai/v1", "azure.ai.openai", "mine.openai.azure.com", 443),
    ("https://MINE.OpenAI.Azure.com/", "azure.ai.openai", "mine.openai.azure.com", 443),
    ("https://m.services.ai.azure.com/", "azure.ai.openai", "m.services.ai.azure.com", 443),
    ("https://m.cognitiveservices.azure.com", "azure.ai.openai", None, 443),
    ("https://openai.azure.com.example/v1", "openai", "openai.azure.com.example", 443),
    ("https://notopenai.azure.com/v1", "openai", "notopenai.azure.com", 443),
    ("https://api.groq.com/openai/v1", "groq", "api.groq.com", 443),
    ("https://api.deepseek.com", "deepseek", "api.deepseek.com", 443),
    ("https://api.x.ai/v1", "x_ai", "api.x.ai", 443),
    ("https://max.ai/v1", "openai", "max.ai", 443),
    ("https://api.max.ai/v1", "openai", "api.max.ai", 443),
    ("https://api.perplexity.ai", "perplexity", "api.perplexity.ai", 443),
    ("https://api.mistral.ai/v1", "mistral_ai", "api.mistral.ai", 443),
    ("https://api.moonshot.cn/v1", "moonshot_ai", "api.moonshot.cn", 443),
    ("https://generativelanguage.googleapis.com/v1beta/openai", "gcp.gemini", None, 443),
    ("https://us-central1-aiplatform.googleapis.com/v1", "gcp.vertex_ai", None, 443),
    ("https://aiplatform.googleapis.com/v1", "gcp.vertex_ai", None, 443),
    ("https://api.cohere.ai/compatibility/v1", "cohere", None, 443),
    ("https://api.anthropic.com/v1", "anthropic", None, 443),
    ("https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1", "aws.bedrock", None, 443),
    ("https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com/v1", "aws.bedrock", None, 443),
    ("https://bedrock-runtime.us-west-2.amazonaws.com.example/v1", "openai", None, 443),
    ("https://not.amazonaws.example/bedrock-runtime.us-west-2.amazonaws.com", "openai", None, 443),
    ("https://notbedrock-runtime.us-west-2.amazonaws.com/v1", "openai", None, 443),
    ("https://ec2-3-4-5-6.compute-1.amazonaws.com/v1", "openai", None, 443),
    ("https://us-south.ml.cloud.ibm.com/ml/v1", "ibm.watsonx.ai", None, 443),
]


@pytest.fixture(scope="module")
def client():
    with openai.OpenAI(api_key="no-secret") as client:
        yield client


@pytest.mark.parametrize(("url", "provider", "address", "port"), HOSTS)
def test_the_host_names_the_provider(client, url, provider, address, port):
    client.base_url = url
    found = endpoint_of(client)
    assert (found.provider, found.port) == (provider, port)
    assert found.address == (address or url.split("/")[2])


@pytest.mark.parametrize(
    ("url", "address", "port"),
    [
        ("wss://GATEWAY.example/v1", "gateway.example", 443),
        ("ws://gateway.example/v1", "gateway.example", 80),
        ("wss://gateway.example:8443/v1", "gateway.example", 8443),
    ],
)
def test_a_socket_has_an_address_and_a_port_of_its_own(client, monkeypatch, url, address, port):
    monkeypatch.setattr(client, "websocket_base_url", url, raising=False)
    found = socket_endpoint_of(client)
    assert (found.provider, found.address, found.port) == ("openai", address, port)


class _Mine(openai.AzureOpenAI):
    """What an application may derive."""


@pytest.mark.parametrize("kind", [openai.AzureOpenAI, openai.AsyncAzureOpenAI, _Mine])
def test_the_class_names_azure_whatever_the_host(kind):
    client = kind(
        api_key="no-secret", api_version="2024-10-21", base_url="https://gateway.example/openai"
    )
    found = endpoint_of(client)
    assert (found.provider, found.address) == ("azure.ai.openai", "gateway.example")


@pytest.mark.parametrize("strange", [None, object(), type("C", (), {"base_url": "text"})()])
def test_what_is_no_client_is_openai_at_an_unknown_place(strange):
    found = endpoint_of(strange)
    assert (found.provider, found.address, found.port) == ("openai", None, None)


class _Elsewhere(openai.OpenAI):
    """One whose URL is made anew each time."""

    base_url = property(
        lambda self: type(self._base_url)("https://elsewhere.example/v1"),
        lambda self, url: setattr(self, "_base_url", url),
    )


def test_a_client_that_gives_another_url_than_it_was_made_with_is_believed():
    with _Elsewhere(api_key="no-secret") as client:
        assert endpoint_of(client).address == "elsewhere.example"


def test_the_client_of_the_module_is_where_the_module_says(monkeypatch):
    monkeypatch.setattr(openai, "api_key", "no-secret")
    monkeypatch.setattr(openai, "base_url", "https://first.example/v1")
    client = openai.chat.completions._client
    assert endpoint_of(client).address == "first.example"
    monkeypatch.setattr(openai, "base_url", "https://second.example/v1")
    assert endpoint_of(client).address == "second.example"


def test_two_base_urls_have_two_keys_also_behind_one_host(client):
    keys = set()
    for url in ("https://a.example/v1", "https://a.example/v2", "https://a.example:444/v1"):
        client.base_url = url
        keys.add(endpoint_of(client).key)
    assert len(keys) == 3


def test_the_key_holds_no_secret(client):
    """Keys are kept in memory only, but what stands in a URL's query or user part is not even."""
    client.base_url = "https://me:pass@a.example/v1?key=hidden"
    found = endpoint_of(client)
    assert not {"pass", "hidden"} & set(found.key.replace("=", ":").replace("@", ":").split(":"))
    assert found.address == "a.example"
