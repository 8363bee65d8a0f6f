/* What ESP-IDF knows of the network and the SDK does not tell. */
#include <stdint.h>
#include <string.h>
#include "esp_event.h"
#include "esp_wifi.h"
#include "sdkconfig.h"
#if defined(CONFIG_LWIP_DHCP_GET_NTP_SRV)
#include "esp_sntp.h"
#include "lwip/ip_addr.h"
#endif

/* Has the reasons noted from now on; returns 0 or an esp_err_t. Called before the SDK's radio begins. */
int32_t skerry_wifi_watch(void);
/* The wifi_err_reason_t of the last loss, once; 0 when there was none. */
int32_t skerry_wifi_reason(void);
/* Has DHCP ask for the network's own time server. Called after the SDK's radio has begun. */
void skerry_time_request(void);
/* At most 46 bytes of the time server's address; returns how many, 0 where the network has named none. */
int32_t skerry_time_server(uint8_t *text);

static volatile int32_t reason;

static void on_event(void *argument, esp_event_base_t base, int32_t event, void *details)
{
	(void)argument;
	(void)base;
	if (event == WIFI_EVENT_STA_DISCONNECTED && details != NULL)
		reason = ((const wifi_event_sta_disconnected_t *)details)->reason;
}

int32_t skerry_wifi_watch(void)
{
	esp_err_t status = esp_event_loop_create_default();
	/* ESP_ERR_INVALID_STATE: there is one already. */
	if (status != ESP_OK && status != ESP_ERR_INVALID_STATE)
		return (int32_t)status;
	/* For any event, as the SDK does: of two such the one that came first is called first. */
	return (int32_t)esp_event_handler_register(WIFI_EVENT, ESP_EVENT_ANY_ID, on_event, NULL);
}

int32_t skerry_wifi_reason(void)
{
	int32_t last = reason;
	reason = 0;
	return last;
}

void skerry_time_request(void)
{
#if defined(CONFIG_LWIP_DHCP_GET_NTP_SRV)
	esp_sntp_servermode_dhcp(true);
#endif
}

int32_t skerry_time_server(uint8_t *text)
{
#if defined(CONFIG_LWIP_DHCP_GET_NTP_SRV)
	const ip_addr_t *server = esp_sntp_getserver(0);
	char address[IPADDR_STRLEN_MAX];
	size_t length;
	if (server == NULL || ip_addr_isany(server) || ipaddr_ntoa_r(server, address, sizeof(address)) == NULL)
		return 0;
	length = strnlen(address, sizeof(address));
	if (length > 46)
		return 0;
	memcpy(text, address, length);
	return (int32_t)length;
#else
	(void)text;
	return 0;
#endif
}
