#pragma once

#include <curl/curl.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "platform/http/message.h"

// What HttpClient and Fetch share of libcurl. Internal to this folder.
namespace vigil::internal {

// libcurl's process-wide start, once.
void InitializeCurl();

// The status that HttpClient::Callback promises for a libcurl result; `handle` tells how far the transfer came.
absl::Status StatusFromCurl(CURL* handle, CURLcode code, const char* detail);

// Takes one raw header line as libcurl hands it over; a status line begins the headers anew.
void TakeHeaderLine(std::string_view line, HttpHeaders& headers);

// Adds the headers to a list that the caller frees. False, and nothing is added, if one could smuggle in a line of its
// own.
bool AppendHeaders(const HttpHeaders& headers, curl_slist** list);

// The settings that no request of ours goes without.
void SetCommonOptions(CURL* handle, const std::string& ca_file, const std::string& proxy, long connect_timeout_ms);

// Method and body. The body is not copied and has to outlive the transfer.
void SetMethodAndBody(CURL* handle, const std::string& method, const std::string& body);

}  // namespace vigil::internal
