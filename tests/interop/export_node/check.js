// Checks our DPV exports (ISO/IEC TS 27560 records and receipts) with npm's jsonld, offline.
//
//   node check.js DIR      (through node_check.sh, which installs the package)
//
// Reads DIR/list.jsonld, DIR/history.jsonld, DIR/everything.jsonld, DIR/receipt.jsonld. Each is expanded in safe mode (whatever has no meaning
// in RDF is an error) with a document loader that refuses every fetch. Then every IRI in the namespaces of DPV has to
// exist: purposes, categories, states and agreements in ledger/vocabulary.inc, which tests/unit/test_terms.c holds against
// the published CSV files of DPV 2.3; classes and relations that give a record its shape in the list below, taken from the
// guide to ISO/IEC TS 27560 and the modules of DPV 2 (context, consent, consent_controls, consent_types, contract, processing,
// organisational measures).
// The records have to carry what the guide demands.
//
// Exit status 0 only if the four are good and every altered twin is refused.
"use strict";
const fs = require("fs");
const path = require("path");
const jsonld = require("jsonld");

const DPV = "https://w3id.org/dpv#";
const DCT = "http://purl.org/dc/terms/";
const shape = new Set(("ConsentRecord ConsentReceipt Process DataSubject DataController ConsentNotice StorageDuration WithdrawConsent " +
  "ExpressedConsent UntilTimeDuration EndlessDuration hasIdentifier hasDataSubject hasDataController hasProcess hasPersonalData " +
  "hasPurpose hasProcessing hasRecipient hasStorageCondition hasDuration hasFrequency hasNotice hasJurisdiction hasContact " +
  "hasConsentControl hasConsequence hasConsentStatus hasContractStatus isIndicatedBy isIndicatedAtTime hasIndicationMethod " +
  "hasRecordOfActivity DataProcessingRecord Transmit Use").split(" "));

const terms = { PURPOSE: new Set(), PERSONAL_DATA: new Set(), AGREEMENT: new Set(), CONSENT_STATUS: new Set(), CONTRACT_STATUS: new Set() };
for (const line of fs.readFileSync(path.join(__dirname, "../../../ledger/vocabulary.inc"), "utf8").split("\n")) {
  const found = /^X\((\w+), "([^"]+)",/.exec(line);
  if (found) terms[found[1]].add(found[2]);
}

function refuse(sentence) { throw new Error(sentence); }
const documentLoader = async (url) => refuse(`it wants to fetch ${url}`);
const expand = (document) => jsonld.expand(document, { documentLoader, safe: true });

// Every @id, @type and property of the expanded document.
function iris(value, out) {
  if (Array.isArray(value)) value.forEach((one) => iris(one, out));
  else if (value !== null && typeof value === "object")
    for (const [key, inner] of Object.entries(value)) {
      if (!key.startsWith("@")) out.add(key);
      if (key === "@id" || key === "@type") [inner].flat().forEach((iri) => out.add(iri));
      else iris(inner, out);
    }
  return out;
}

function checkIri(iri) {
  const at = iri.indexOf("#");
  const name = iri.slice(at + 1);
  const known = iri.startsWith("https://w3id.org/dpv/pd#") ? terms.PERSONAL_DATA.has(name)
    : iri.startsWith("https://w3id.org/dpv/standards/ieee/7012#") ? terms.AGREEMENT.has(name)
    : iri.startsWith(DPV) ? shape.has(name) || terms.PURPOSE.has(name) || terms.CONSENT_STATUS.has(name) || terms.CONTRACT_STATUS.has(name)
    : /^https:\/\/w3id\.org\/dpv\/schema\/dpv-27560#(record|receipt)$/.test(iri) || !iri.startsWith("https://w3id.org/dpv");
  if (!known) refuse(`${iri} does not exist`);
  if (!/^[a-z][a-z0-9+.-]*:/.test(iri)) refuse(`${iri} is not an absolute IRI`);
}

const all = (node, iri) => node[iri] || [];
const one = (node, iri) => (all(node, iri).length === 1 ? all(node, iri)[0] : refuse(`there is not one ${iri}`));
const some = (node, iri) => (all(node, iri).length > 0 ? all(node, iri) : refuse(`there is no ${iri}`));

// One delivery or one use: what was done, when, with which kind of data and what for. Returns which of the two.
function checkActivity(node) {
  if (!node["@type"].includes(DPV + "Process")) refuse("an activity that is no process");
  const processing = one(node, DPV + "hasProcessing")["@id"];
  if (processing !== DPV + "Transmit" && processing !== DPV + "Use") refuse(`${processing} is neither a delivery nor a use`);
  for (const [name, needed] of [["date", true], ["dateAccepted", false]]) {
    const times = needed ? [one(node, DCT + name)] : all(node, DCT + name);
    for (const when of times)
      if (when["@type"] !== "http://www.w3.org/2001/XMLSchema#dateTime" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(when["@value"])) refuse("no UTC time of an activity");
  }
  for (const purpose of all(node, DPV + "hasPurpose"))
    if (!terms.PURPOSE.has(String(purpose["@id"]).slice(DPV.length))) refuse(`${purpose["@id"]} is no purpose`);
  for (const category of all(node, DPV + "hasPersonalData"))
    if (!String(category["@id"]).startsWith("https://w3id.org/dpv/pd#")) refuse("no category of personal data");
  if (processing === DPV + "Transmit") {
    one(node, DPV + "hasRecipient")["@id"] || refuse("a recipient that is no IRI");
    if (!/^[0-9a-f]{32}$/.test(one(node, DCT + "identifier")["@value"])) refuse("no id of a delivery");
    one(node, DCT + "format");
    one(node, DCT + "extent");
  } else one(node, DPV + "hasPurpose");
  return processing.slice(DPV.length);
}

const activities = { Transmit: 0, Use: 0 };
function checkRecord(node) {
  for (const activity of all(node, DPV + "hasRecordOfActivity")) {
    if (!activity["@type"].includes(DPV + "DataProcessingRecord")) refuse("no record of processing");
    for (const process of some(activity, DPV + "hasProcess")) activities[checkActivity(process)]++;
  }
  if (!node["@type"].includes(DPV + "ConsentRecord")) refuse("not a consent record");
  if (one(node, DCT + "conformsTo")["@id"] !== "https://w3id.org/dpv/schema/dpv-27560#record") refuse("no profile of a record");
  for (const name of ["hasIdentifier", "hasDataSubject", "hasDataController", "hasNotice", "hasJurisdiction", "hasConsentControl"]) one(node, DPV + name);
  for (const process of some(node, DPV + "hasProcess")) {
    for (const purpose of some(process, DPV + "hasPurpose"))
      if (!terms.PURPOSE.has(purpose["@id"].slice(DPV.length))) refuse(`${purpose["@id"]} is no purpose`);
    if (!one(process, DPV + "hasPersonalData")["@id"].startsWith("https://w3id.org/dpv/pd#")) refuse("no category of personal data");
  }
  for (const status of some(node, DPV + "hasConsentStatus")) {
    if (!status["@type"].some((iri) => terms.CONSENT_STATUS.has(iri.slice(DPV.length)))) refuse(`${status["@type"]} is no consent status`);
    const when = one(status, DPV + "isIndicatedAtTime");
    if (when["@type"] !== "http://www.w3.org/2001/XMLSchema#dateTime" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(when["@value"])) refuse("no UTC time");
  }
  if (!terms.CONTRACT_STATUS.has(one(node, DPV + "hasContractStatus")["@id"].slice(DPV.length))) refuse("no contract status");
}

async function check(document) {
  const expanded = await expand(document);
  iris(expanded, new Set()).forEach(checkIri);
  if (expanded.length === 0) refuse("nothing is left of it");
  const receipt = expanded[0]["@type"].includes(DPV + "ConsentReceipt") ? expanded[0] : null;
  if (receipt !== null) {
    if (one(receipt, DCT + "conformsTo")["@id"] !== "https://w3id.org/dpv/schema/dpv-27560#receipt") refuse("no profile of a receipt");
    one(receipt, DPV + "hasIdentifier");
    one(receipt, DCT + "created");
  }
  (receipt === null ? expanded : some(receipt, DPV + "hasRecordOfActivity")).forEach(checkRecord);
  const quads = await jsonld.toRDF(document, { documentLoader, safe: true });
  if (quads.length < 20) refuse("hardly anything is left of it as RDF");
  return expanded.length;
}

async function mustRefuse(what, document, alter) {
  const twin = JSON.parse(JSON.stringify(document));
  alter(twin, twin["dpv:hasRecordOfActivity"], twin["@graph"] && twin["@graph"].map((one) => one["dpv:hasRecordOfActivity"]).find((one) => one && one["dpv:hasProcess"].length > 1));
  const accepted = await check(twin).then(() => true, () => false);
  if (accepted) refuse(`${what} is accepted`);
}

async function main() {
  const read = (name) => JSON.parse(fs.readFileSync(path.join(process.argv[2], name), "utf8"));
  if (terms.PURPOSE.size < 100 || terms.PERSONAL_DATA.size < 200 || terms.CONSENT_STATUS.size < 10) refuse("the vocabulary was not read");
  const listed = await check(read("list.jsonld"));
  if (listed < 2) refuse("the list has fewer than two records");
  if ((await check(read("history.jsonld"))) !== 1) refuse("the history is not one record");
  activities.Transmit = activities.Use = 0;
  const everything = read("everything.jsonld");
  const all = await check(everything);
  if (activities.Transmit !== 4 || activities.Use !== 1) refuse(`${activities.Transmit} deliveries and ${activities.Use} uses, instead of 4 and 1`);
  await mustRefuse("processing that does not exist", everything, (twin, record, activity) => { activity["dpv:hasProcess"][0]["dpv:hasProcessing"]["@id"] = "dpv:Transmitt"; });
  await mustRefuse("processing that is neither", everything, (twin, record, activity) => { activity["dpv:hasProcess"][0]["dpv:hasProcessing"]["@id"] = "dpv:Marketing"; });
  await mustRefuse("a delivery to nobody", everything, (twin, record, activity) => { delete activity["dpv:hasProcess"][0]["dpv:hasRecipient"]; });
  await mustRefuse("a delivery at no time", everything, (twin, record, activity) => { activity["dpv:hasProcess"][0]["dct:date"] = "yesterday"; });
  await mustRefuse("a use for nothing", everything, (twin, record, activity) => { delete activity["dpv:hasProcess"].at(-1)["dpv:hasPurpose"]; });
  await mustRefuse("a use for a category", everything, (twin, record, activity) => { activity["dpv:hasProcess"].at(-1)["dpv:hasPurpose"] = "pd:EmailAddress"; });
  await mustRefuse("a record of no kind", everything, (twin, record, activity) => { activity["@type"] = "dpv:Process"; });
  const receipt = read("receipt.jsonld");
  await check(receipt);
  await mustRefuse("a category that does not exist", receipt, (twin, record) => { record["dpv:hasProcess"][0]["dpv:hasPersonalData"] = "pd:EmailAddres"; });
  await mustRefuse("a purpose that does not exist", receipt, (twin, record) => { record["dpv:hasProcess"][0]["dpv:hasPurpose"] = ["dpv:Marketting"]; });
  await mustRefuse("a category as purpose", receipt, (twin, record) => { record["dpv:hasProcess"][0]["dpv:hasPurpose"] = ["pd:EmailAddress"]; });
  await mustRefuse("a relation that does not exist", receipt, (twin, record) => { record["dpv:hasNothing"] = "x"; });
  await mustRefuse("a key without meaning", receipt, (twin, record) => { record.nothing = "x"; });
  await mustRefuse("a state that does not exist", receipt, (twin, record) => { record["dpv:hasConsentStatus"][0]["@type"] = "dpv:ConsentLost"; });
  await mustRefuse("a context from the web", receipt, (twin) => { twin["@context"] = "https://w3id.org/dpv/context.jsonld"; });
  await mustRefuse("no data subject", receipt, (twin, record) => { delete record["dpv:hasDataSubject"]; });
  await mustRefuse("no profile", receipt, (twin) => { delete twin["dct:conformsTo"]; });
  console.log(`jsonld expands ${listed + all + 2} records offline, with 4 deliveries and 1 use; every term of DPV in them exists; 16 altered twins refused`);
}
main().catch((error) => { console.error(error.message); process.exit(1); });
