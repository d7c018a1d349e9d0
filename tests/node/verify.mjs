// Verifies requests with the npm package standardwebhooks: node verify.mjs NODE_FOLDER < LINES
// Each line is JSON: webhook-id, webhook-timestamp, webhook-signature, body (base64), secret.
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { createInterface } from "node:readline";

const { Webhook } = createRequire(resolve(process.argv[2], "package.json"))("standardwebhooks");

let verified = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const { body, secret, ...headers } = JSON.parse(line);
  new Webhook(secret).verify(Buffer.from(body, "base64"), headers, { jsonParse: false });
  verified += 1;
}
console.log(JSON.stringify({ verified }));
