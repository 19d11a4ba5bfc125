// The simulated phone network as a provider (and any program that speaks its API).
#pragma once

#include <memory>

#include "notification/channels/provider.h"
#include "notification/channels/sandbox/options.h"
#include "platform/http/client.h"

namespace vigil::notification {

// `client` outlives it; orders that are outstanding when the client ends are done with Cancelled.
std::unique_ptr<Provider> MakeSandboxProvider(SandboxProviderOptions options, HttpClient* client);

}  // namespace vigil::notification
