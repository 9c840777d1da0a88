// What users of RunPod's and OpenAI's JavaScript clients do; prints what came of it as one JSON object.
// Arguments: the API's address, the endpoint's name, the OpenAI base address.
import OpenAI from "openai";
import runpodSdk from "runpod-sdk";

const [baseUrl, name, openaiUrl] = process.argv.slice(2);
const print = console.log;
console.log = () => {}; // the client prints its progress
const endpoint = runpodSdk("unused", { baseUrl }).endpoint(name);
const chat = { messages: [{ role: "user", content: "Say hello." }], max_tokens: 8, temperature: 0 };
const endless = { prompt: "Once upon a time", max_tokens: 300, ignore_eos: true };

const { id } = await endpoint.run({ input: { ...chat, stream: true } });
let streamed = "";
for await (const chunk of endpoint.stream(id)) streamed += chunk.output.choices[0].delta.content ?? "";

const whole = await endpoint.runSync({ input: chat });
const waited = await endpoint.statusSync((await endpoint.run({ input: chat })).id, 60000);
const wrong = await endpoint.runSync({ input: { ...chat, temperature: 9 } });

const stopped = await endpoint.run({ input: endless });
await endpoint.cancel(stopped.id);
const cancelled = await endpoint.status(stopped.id);

const openai = new OpenAI({ baseURL: openaiUrl, apiKey: "unused", maxRetries: 0 });
let tokens = "";
for await (const chunk of await openai.chat.completions.create({ model: "any", ...chat, stream: true }))
  tokens += chunk.choices[0]?.delta?.content ?? "";
const completion = await openai.chat.completions.create({ model: "any", ...chat });
let refused;
try {
  await openai.chat.completions.create({ model: "any", ...chat, temperature: 9 });
} catch (error) {
  refused = { badRequest: error instanceof OpenAI.BadRequestError, param: error.param };
}

print(
  JSON.stringify({
    run: { streamed, status: (await endpoint.status(id)).status },
    runSync: { text: whole.output.choices[0].message.content, status: whole.status },
    statusSync: waited.status,
    wrong: { status: wrong.status, error: JSON.parse(wrong.error) },
    cancelled: cancelled.status,
    health: Object.keys(await endpoint.health()).sort(),
    openai: { tokens, text: completion.choices[0].message.content, refused },
  }),
);
