#pragma once
#include "esp_event.h"
#define ESP_ERR_WIFI_NOT_INIT 0x3001
#define ESP_ERR_WIFI_NOT_STARTED 0x3002
extern esp_event_base_t const WIFI_EVENT;
typedef enum { WIFI_EVENT_STA_CONNECTED = 4, WIFI_EVENT_STA_DISCONNECTED = 5 } wifi_event_t;
typedef struct {
	uint8_t ssid[32];
	uint8_t ssid_len;
	uint8_t bssid[6];
	uint8_t reason;
	int8_t rssi;
} wifi_event_sta_disconnected_t;
esp_err_t esp_wifi_stop(void);
/* ESP_ERR_WIFI_NOT_INIT and ESP_ERR_WIFI_NOT_STARTED while the radio is off. */
esp_err_t esp_wifi_get_max_tx_power(int8_t *power);
