// ESP-IDF's settings: what has to be on, in the form that the SDK's merge understands.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";

const root = fileURLToPath(new URL("../../../../", import.meta.url));

function read(name: string): Readonly<Record<string, string>> {
  const lines = readFileSync(join(root, "hosts/moddable/esp32", name), "utf8").split("\n");
  const entries = lines.filter(line => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(entries.map(line => line.split("=") as [string, string]));
}

const settings = read("sdkconfig.defaults");

test("every line is one that the SDK takes over, and stands once", t => {
  for (const name of ["sdkconfig.defaults", "sdkconfig.defaults.release"]) {
    const text = readFileSync(join(root, "hosts/moddable/esp32", name), "utf8");
    // A comment of that form would be passed over: the SDK's value would stay.
    t.notRegex(text, /is not set$/m);
    const lines = text.split("\n").filter(line => line !== "" && !line.startsWith("#"));
    for (const line of lines) t.regex(line, /^CONFIG_[A-Z0-9_]+=(y|n|\d+)$/);
    t.is(Object.keys(read(name)).length, lines.length);
  }
});

test("rollback, the bootloader's check and both watchdogs are on", t => {
  const needed = {
    CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE: "y",
    CONFIG_BOOTLOADER_SKIP_VALIDATE_ALWAYS: "n",
    CONFIG_PARTITION_TABLE_MD5: "y",
    CONFIG_ESP_TASK_WDT_EN: "y",
    CONFIG_ESP_TASK_WDT_INIT: "y",
    CONFIG_ESP_TASK_WDT_PANIC: "y",
    CONFIG_ESP_TASK_WDT_TIMEOUT_S: "30",
    CONFIG_ESP_INT_WDT: "y",
  };
  for (const [name, value] of Object.entries(needed)) t.is(settings[name], value, name);
  t.is(read("sdkconfig.defaults.release")["CONFIG_ESP_SYSTEM_PANIC_PRINT_REBOOT"], "y");
});

test("a TCP window takes two TLS records of the size that is asked for, and a whole one leaves at once", t => {
  // The module itself needs the SDK.
  const session = readFileSync(join(root, "hosts/moddable/session.ts"), "utf8");
  const fragmentBytes = Number(/^export const fragmentBytes = (\d+);$/m.exec(session)![1]);
  // Header, explicit nonce and tag of AES-GCM.
  const record = fragmentBytes + 5 + 8 + 16;
  const size = (name: string) => Number(settings[`CONFIG_LWIP_TCP_${name}`]);
  const segment = size("MSS");
  t.true(size("WND_DEFAULT") >= 2 * record);
  t.is(size("WND_DEFAULT") % segment, 0);
  t.true(size("SND_BUF_DEFAULT") >= record);
  t.is(size("SND_BUF_DEFAULT") % segment, 0);
  // What the radio keeps for frames that come in: the SDK's own setting.
  t.true(size("WND_DEFAULT") / segment <= 12);
});

test("the network may name its time server", t => {
  t.is(settings["CONFIG_LWIP_DHCP_GET_NTP_SRV"], "y");
  t.is(settings["CONFIG_LWIP_DHCP_MAX_NTP_SERVERS"], "1");
  t.is(settings["CONFIG_LWIP_SNTP_MAX_SERVERS"], "1");
});
