"""A program that knows nothing of telemetry: one plain answer, one streamed, one closed early."""

from openai import OpenAI

client = OpenAI()
MODEL = "gpt-4o-mini"

plain = client.chat.completions.create(
    model=MODEL, messages=[{"role": "user", "content": "What is a trace?"}]
)
print(plain.choices[0].message.content)

question = [{"role": "user", "content": "And why is it called one?"}]
for chunk in client.chat.completions.create(model=MODEL, messages=question, stream=True):
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
print()

with client.chat.completions.create(model=MODEL, messages=question, stream=True) as stream:
    for _, _ in zip(range(5), stream, strict=False):
        pass
