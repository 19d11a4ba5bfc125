// The simulated phone network as a provider (and any program that speaks its API).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "notification/channels/provider.h"
#include "notification/channels/sandbox/options.h"
#include "platform/http/client.h"

namespace vigil::notification {

// `client` outlives it; orders that are outstanding when the client ends are done with Cancelled.
std::unique_ptr<Provider> MakeSandboxProvider(SandboxProviderOptions options, HttpClient* client);

// The same for break-glass, in order of preference: with less patience, told of to intake. `providers` owns them.
std::vector<Provider*> MakeEmergencyProviders(const std::string& url, const std::string& second_url, const std::string& callback_base_url,
                                              HttpClient* client, std::vector<std::unique_ptr<Provider>>* providers);

}  // namespace vigil::notification
