// Sends one lead with the clients of Pipedrive, Airtable and Meta to the address in the first word.
import Airtable from "airtable";
import business from "facebook-nodejs-business-sdk";
import * as v1 from "pipedrive/v1";
import * as v2 from "pipedrive/v2";

const root = process.argv[2];
const person = { value: "+918951047001", primary: true, label: "mobile" };

async function pipedrive() {
  const people = new v2.PersonsApi(new v2.Configuration({ apiKey: "s3cret", basePath: `${root}/api/v2` }));
  const leads = new v1.LeadsApi(new v1.Configuration({ apiKey: "s3cret", basePath: `${root}/api/v1` }));
  await people.searchPersons({ term: person.value, fields: "phone", exact_match: true, limit: 1 });
  const emails = [{ value: "asha@example.com", primary: true, label: "work" }];
  await people.addPerson({ AddPersonRequest: { name: "Asha Rao", phones: [person], emails } });
  await leads.addLead({ AddLeadRequest: { title: "Asha Rao", person_id: 17 } });
}

async function airtable() {
  const base = new Airtable({ apiKey: "s3cret", endpointUrl: root }).base("appA1b2C3d4E5f6G7");
  const fields = {
    "Lead id": "lead_7", Name: "Asha Rao", Phone: "+918951047001", Email: "asha@example.com", Message: "Knee pain",
    Page: "https://www.example.com/contact",
  };
  await base("tblA1b2C3d4E5f6G7").update([{ fields }], { performUpsert: { fieldsToMergeOn: ["Lead id"] }, typecast: true });
}

async function meta() {
  Object.defineProperty(business.FacebookAdsApi, "GRAPH", { get: () => root });
  const { ServerEvent, UserData, EventRequest } = business;
  const who = new UserData()
    .setEmail(" Asha@Example.com").setPhone("+91 89510-47001").setFirstName("Asha").setLastName("Rao").setCountry("IN");
  const event = new ServerEvent()
    .setEventName("Lead").setEventTime(1795344127).setEventId("lead_7.2").setActionSource("website")
    .setEventSourceUrl("https://www.example.com/contact").setUserData(who);
  await new EventRequest("s3cret", "1234567890123456").setEvents([event]).execute();
}

for (const send of [pipedrive, airtable, meta]) await send().catch((error) => console.error(`${send.name}: ${error}`));
