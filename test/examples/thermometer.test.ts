// The chip's thermometer, compiled for this machine against declarations of ESP-IDF's shape: what comes out of it, and when nothing does.
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";

const source = fileURLToPath(
  new URL("../../../examples/sensor-node/moddable/esp32/thermometer.c", import.meta.url),
);
const driver = `
typedef int esp_err_t;
#define ESP_OK 0
typedef struct temperature_sensor_obj_t *temperature_sensor_handle_t;
typedef struct { int range_min, range_max, clk_src; struct { unsigned allow_pd : 1; } flags; } temperature_sensor_config_t;
#define TEMPERATURE_SENSOR_CONFIG_DEFAULT(min, max) { .range_min = min, .range_max = max }
esp_err_t temperature_sensor_install(const temperature_sensor_config_t *config, temperature_sensor_handle_t *sensor);
esp_err_t temperature_sensor_uninstall(temperature_sensor_handle_t sensor);
esp_err_t temperature_sensor_enable(temperature_sensor_handle_t sensor);
esp_err_t temperature_sensor_get_celsius(temperature_sensor_handle_t sensor, float *celsius);
`;
const print = `
#include <stdio.h>
double sensor_node_celsius(void);
int main(void) { for (int i = 0; i < 3; i++) printf("%.1f ", sensor_node_celsius()); return 0; }
`;
/** A driver whose calls fail as often as the numbers say. */
const working = (installFails: number, enableFails: number) => `
#include "esp_driver_tsens/include/driver/temperature_sensor.h"
static int installed, install_fails = ${installFails}, enable_fails = ${enableFails};
esp_err_t temperature_sensor_install(const temperature_sensor_config_t *c, temperature_sensor_handle_t *s)
{ if (install_fails-- > 0 || installed) return 1; installed = 1; *s = (temperature_sensor_handle_t)&installed; return c->range_min == -10 ? 0 : 1; }
esp_err_t temperature_sensor_uninstall(temperature_sensor_handle_t s) { (void)s; installed = 0; return 0; }
esp_err_t temperature_sensor_enable(temperature_sensor_handle_t s) { (void)s; return enable_fails-- > 0; }
esp_err_t temperature_sensor_get_celsius(temperature_sensor_handle_t s, float *v) { (void)s; *v = 31.25f; return installed ? 0 : 1; }
`;
const radio = (fahrenheit: number) => `
#include <stdint.h>
uint8_t temprature_sens_read(void) { return ${fahrenheit}; }
`;

for (const [what, supported, more, printed] of [
  ["a chip with ESP-IDF's driver", 1, working(0, 0), "31.2 31.2 31.2 "],
  ["a driver that is busy once is asked again", 1, working(1, 0), "nan 31.2 31.2 "],
  ["a driver that cannot be enabled once is given back", 1, working(0, 1), "nan 31.2 31.2 "],
  ["the first ESP32 measures in Fahrenheit", 0, radio(95), "35.0 35.0 35.0 "],
  ["a first ESP32 that says 128 has no thermometer", 0, radio(128), "nan nan nan "],
  ["a radio library without the function", 0, "", "nan nan nan "],
] as const)
  test(what, async t => {
    if (spawnSync("cc", ["--version"]).error) {
      t.log("there is no C compiler here");
      return t.pass();
    }
    const folder = await mkdtemp(join(tmpdir(), "skerry-thermometer-"));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const files = {
      "soc/soc_caps.h": `#define SOC_TEMP_SENSOR_SUPPORTED ${supported}\n`,
      "esp_driver_tsens/include/driver/temperature_sensor.h": driver,
      "print.c": print,
      "more.c": `${more}\ntypedef int not_empty;\n`,
    };
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    const run = (command: string, ...parts: string[]) =>
      spawnSync(command, parts, { cwd: folder, encoding: "utf8" });
    const flags = ["-Wall", "-Wextra", "-Werror", "-I.", "-o", "print"];
    const built = run("cc", ...flags, "print.c", "more.c", source, "-lm");
    t.is(built.status, 0, built.stderr);
    t.is(run(join(folder, "print")).stdout.replaceAll("-nan", "nan"), printed);
  });
