/* ESP-IDF writes this file from the settings; here -D does. */
#pragma once
