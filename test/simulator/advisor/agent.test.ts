// The agent under its own examination: every documented case, TLS on real sockets, the rest in virtual time.
import test from "ava";
import { examineAgent } from "../../../simulator/advisor/agent.js";
import { caseNames } from "../../../simulator/advisor/catalog.js";
import type { Row } from "../../../simulator/advisor/row.js";

test("the agent passes every documented case, in MQTT 5 and 3.1.1", async t => {
  const rows: Row[] = [];
  await examineAgent({ onRow: row => rows.push(row) });
  t.deepEqual([...new Set(rows.map(({ name }) => name))], [...caseNames]);
  for (const { name, version, verdict } of rows) {
    t.is(verdict?.grade, "pass", `${name}, MQTT ${version}: ${verdict?.seen}`);
  }
  const inBoth = rows.filter(({ version }) => version === 4).map(({ name }) => name);
  t.deepEqual(
    inBoth,
    rows.filter(({ version }) => version === 5).map(({ name }) => name),
  );
  t.is(inBoth.length, 19);
});

test("the long run ends with what Device Advisor reports", async t => {
  const [row] = await examineAgent({
    cases: ["MQTT_Long_Duration"],
    seed: 2,
    onRow: () => undefined,
  });
  const { keepAliveSeconds, keepsSession, connects, backoff, published, subscribed } =
    row!.summary!;
  t.deepEqual(keepAliveSeconds, [60, 30], "a link that fell silent is asked after sooner");
  t.true(keepsSession);
  t.true(connects > 20);
  t.is(backoff, "jitter");
  t.true(published.includes("dt/node-advised/climate"));
  t.is(
    subscribed.length,
    13,
    "six for the settings' shadow, six for the device's own, one for jobs",
  );
});
