// Verifies a credential as a stranger would: {"credential", "documents": {address: document}} on
// standard input, {"verified", "error"} on standard output. Nothing is fetched.
import * as vc from "@digitalbazaar/vc";
import { DataIntegrityProof } from "@digitalbazaar/data-integrity";
import { cryptosuite } from "@digitalbazaar/eddsa-rdfc-2022-cryptosuite";
import { checkStatus } from "@digitalbazaar/vc-bitstring-status-list";
import { readFileSync } from "node:fs";

const { credential, documents } = JSON.parse(readFileSync(0, "utf8"));

function documentLoader(url) {
  const bare = url.split("#")[0];
  const whole = documents[url] ?? documents[bare];
  if (!whole) throw new Error(`nothing at ${url}`);
  const method = (whole.verificationMethod ?? []).find((each) => each.id === url);
  const document = method ? { "@context": "https://w3id.org/security/multikey/v1", ...method } : whole;
  return { contextUrl: null, documentUrl: url, document };
}

const suite = new DataIntegrityProof({ cryptosuite });
const result = await vc.verifyCredential({
  credential,
  suite,
  documentLoader,
  checkStatus: (options) => checkStatus({ ...options, suite, documentLoader, verifyBitstringStatusListCredential: true }),
});
const reason = result.error?.errors?.map((each) => each.message).join("; ") ?? result.error?.message ?? "";
// The library reports a set bit and leaves what it means to its caller.
const revoked = (result.statusResult?.results ?? []).some((each) => each.status);
console.log(JSON.stringify({ verified: result.verified && !revoked, error: revoked ? "revoked" : reason }));
