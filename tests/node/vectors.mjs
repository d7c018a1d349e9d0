// Says which golden vectors verifiers of another make accept: node vectors.mjs NODE_FOLDER FILE
// By the npm package standardwebhooks for v1, by Node's own crypto for v1a: a line of JSON, the names.
import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const { Webhook } = createRequire(resolve(process.argv[2], "package.json"))("standardwebhooks");
const { tolerance, accepted, refused } = JSON.parse(readFileSync(process.argv[3], "utf8"));

// What stands before the 32 bytes of a raw key (RFC 8410 §4).
const SPKI = Buffer.from("302a300506032b6570032100", "hex");

function byLibrary({ secret, headers, body }) {
  try {
    new Webhook(secret).verify(Buffer.from(body), headers, { jsonParse: false });
    return true;
  } catch (error) {
    if (error.name !== "WebhookVerificationError") throw error;
    return false;
  }
}

function byHand({ secret, headers, body, now }) {
  const stamp = headers["webhook-timestamp"];
  if (Math.abs(now - Number(stamp)) > tolerance) return false;
  const content = Buffer.concat([
    Buffer.from(`${headers["webhook-id"]}.${stamp}.`),
    Buffer.from(body),
  ]);
  const der = Buffer.concat([SPKI, Buffer.from(secret.slice("whpk_".length), "base64")]);
  const key = createPublicKey({ key: der, format: "der", type: "spki" });
  return headers["webhook-signature"]
    .split(" ")
    .filter((each) => each.startsWith("v1a,"))
    .some((each) => verify(null, content, key, Buffer.from(each.slice("v1a,".length), "base64")));
}

function accepts(vector) {
  Date.now = () => vector.now * 1000;
  return vector.secret.startsWith("whpk_") ? byHand(vector) : byLibrary(vector);
}

console.log(JSON.stringify([...accepted, ...refused].filter(accepts).map(({ name }) => name)));
