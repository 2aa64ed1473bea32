// Checks what our sender posts with npm's standardwebhooks, the library that receivers use.
//
//   node check.js DIR      (through node_check.sh, which installs the package)
//
// Reads DIR/webhooks.json: {"secrets": ["whsec_…", …], "posts": [{"headers": {…}, "body": "…"}, …]}, the requests as an
// endpoint got them; each is signed with every secret.
//
// Exit status 0 only if each post is accepted with each secret, and every altered twin is refused.
"use strict";
const fs = require("fs");
const path = require("path");
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

const { secrets, posts } = JSON.parse(fs.readFileSync(path.join(process.argv[2], "webhooks.json")));

// At the time of the attempt, or later_s seconds after: the library refuses what is older than five minutes.
function accepted(secret, { headers, body }, later_s = 1) {
  Date.now = () => (Number(posts[0].headers["webhook-timestamp"]) + later_s) * 1000;
  try {
    return JSON.stringify(new Webhook(secret).verify(body, headers)) === JSON.stringify(JSON.parse(body));
  } catch (refusal) {
    if (refusal instanceof WebhookVerificationError) return false;
    throw refusal;
  }
}

function main() {
  if (secrets.length < 2 || posts.length < 2) throw new Error("too little was captured");
  for (const post of posts) {
    for (const secret of secrets) {
      if (!accepted(secret, post)) throw new Error(`refused a good post: ${post.headers["webhook-id"]}`);
    }
  }
  const [good] = posts;
  const altered = (name, value) => ({ ...good, headers: { ...good.headers, [name]: value } });
  const swapped = good.headers["webhook-signature"].replace(/v1,./g, (start) => "v1," + (start[3] === "A" ? "B" : "A"));
  const twins = {
    body: { ...good, body: good.body.replace(/"height":\d+/, '"height":0') },
    "body, one space more": { ...good, body: good.body + " " },
    id: altered("webhook-id", good.headers["webhook-id"] + "0"),
    timestamp: altered("webhook-timestamp", String(Number(good.headers["webhook-timestamp"]) + 1)),
    signature: altered("webhook-signature", swapped),
    "body of another event": { ...good, body: posts[1].body },
  };
  for (const [what, twin] of Object.entries(twins)) {
    for (const secret of secrets) {
      if (accepted(secret, twin)) throw new Error(`accepted a twin with an altered ${what}`);
    }
  }
  if (accepted("whsec_" + Buffer.alloc(32, 7).toString("base64"), good)) throw new Error("accepted under another secret");
  if (accepted(secrets[0], good, 600)) throw new Error("accepted ten minutes later");
  console.log(`accepted ${posts.length} posts under ${secrets.length} secrets, refused ${Object.keys(twins).length + 2} altered twins`);
}

try {
  main();
} catch (failure) {
  console.error(failure.message);
  process.exit(1);
}
