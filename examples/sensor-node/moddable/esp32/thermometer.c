/* The thermometer in the chip. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include "soc/soc_caps.h"

/* Degrees Celsius; not a number where there is no thermometer, or where it does not answer. */
double sensor_node_celsius(void);

#if SOC_TEMP_SENSOR_SUPPORTED

#include "esp_driver_tsens/include/driver/temperature_sensor.h"

double sensor_node_celsius(void)
{
	static temperature_sensor_handle_t sensor;
	float celsius;
	if (sensor == NULL) {
		temperature_sensor_config_t config = TEMPERATURE_SENSOR_CONFIG_DEFAULT(-10, 80);
		if (temperature_sensor_install(&config, &sensor) != ESP_OK) {
			sensor = NULL;
			return NAN;
		}
		if (temperature_sensor_enable(sensor) != ESP_OK) {
			temperature_sensor_uninstall(sensor);
			sensor = NULL;
			return NAN;
		}
	}
	return temperature_sensor_get_celsius(sensor, &celsius) == ESP_OK ? celsius : NAN;
}

#else

/* The first ESP32 has one that ESP-IDF has no driver for: its radio library reads it, in Fahrenheit. Weak, should it leave that library. */
extern uint8_t temprature_sens_read(void) __attribute__((weak));

/* What that library answers on chips that have none. */
#define NO_THERMOMETER 128

double sensor_node_celsius(void)
{
	uint8_t fahrenheit;
	if (temprature_sens_read == 0)
		return NAN;
	fahrenheit = temprature_sens_read();
	return fahrenheit == NO_THERMOMETER ? NAN : (fahrenheit - 32) / 1.8;
}

#endif
