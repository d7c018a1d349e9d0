// Says what verifiers of another make think of requests: node opinions.mjs NODE_FOLDER < LINES
// Each line is JSON: webhook-id, webhook-timestamp, webhook-signature, body (base64), secret
// (whsec_), publicKey (whpk_). Each answer is a line of JSON: library (the npm package
// standardwebhooks), hmac and ed25519 (Node's own crypto).
import { createHmac, createPublicKey, timingSafeEqual, verify } from "node:crypto";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { createInterface } from "node:readline";

const { Webhook } = createRequire(resolve(process.argv[2], "package.json"))("standardwebhooks");

// What stands before the 32 bytes of a raw key (RFC 8410 §4).
const SPKI = Buffer.from("302a300506032b6570032100", "hex");

const raw = (text, prefix) => Buffer.from(text.slice(prefix.length), "base64");

function byLibrary(body, headers, secret) {
  try {
    new Webhook(secret).verify(body, headers, { jsonParse: false });
    return true;
  } catch (error) {
    if (error.name !== "WebhookVerificationError") throw error;
    return false;
  }
}

function byHand(body, headers, secret, publicKey) {
  const begin = Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`);
  const content = Buffer.concat([begin, body]);
  const digest = createHmac("sha256", raw(secret, "whsec_")).update(content).digest();
  const der = Buffer.concat([SPKI, raw(publicKey, "whpk_")]);
  const key = createPublicKey({ key: der, format: "der", type: "spki" });
  const some = (prefix, fits) =>
    headers["webhook-signature"]
      .split(" ")
      .some((each) => each.startsWith(prefix) && fits(raw(each, prefix)));
  return {
    hmac: some("v1,", (each) => each.length === 32 && timingSafeEqual(each, digest)),
    ed25519: some("v1a,", (each) => verify(null, content, key, each)),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { body: encoded, secret, publicKey, ...headers } = JSON.parse(line);
  const body = Buffer.from(encoded, "base64");
  const library = byLibrary(body, headers, secret);
  console.log(JSON.stringify({ library, ...byHand(body, headers, secret, publicKey) }));
}
