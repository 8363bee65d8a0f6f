#pragma once
#include "esp_err.h"
#include "esp_partition.h"
#define NVS_DEFAULT_PART_NAME "nvs"
#define ESP_ERR_NVS_NO_FREE_PAGES 0x110d
#define ESP_ERR_NVS_NEW_VERSION_FOUND 0x1110
/* A partition of that label that is mounted already is a success. */
esp_err_t nvs_flash_init(void);
/* Keeps the pointer. */
esp_err_t nvs_flash_init_partition_ptr(const esp_partition_t *partition);
esp_err_t nvs_flash_erase(void);
