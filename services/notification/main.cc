#include <memory>
#include <optional>
#include <vector>

#include "host/host.h"
#include "notification/break_glass/emergency_list.h"
#include "notification/break_glass/list_keeper.h"
#include "notification/break_glass/ringer.h"
#include "notification/channels/sandbox/sandbox.h"
#include "notification/handler.h"
#include "notification/notification.h"
#include "platform/crypto/random.h"
#include "platform/http/client.h"
#include "platform/keys/nats_key_store.h"
#include "platform/logging/log.h"

namespace {

using vigil::config::ServiceOptions;

const vigil::ServiceIdentity kIdentity{
    .name = "notification", .user = "notice", .writes = true, .snapshots = true, .summary = "Turns alerts into calls and messages until somebody takes them."};

// Requests under way at once; first calls have a reserve of their own, and do not wait for others.
constexpr std::size_t kMaxRequests = 512;
constexpr std::size_t kReserveOfFirstCalls = 1024;

}  // namespace

int main(int argc, char** argv) {
  vigil::SignalWait signals;
  ServiceOptions options;
  const vigil::config::AcceptedOptions own{
      .required = {&ServiceOptions::installation_key_file, &ServiceOptions::provider_url, &ServiceOptions::callback_base_url},
      .optional = {&ServiceOptions::provider_url_2, &ServiceOptions::sandbox_secret_file}};
  if (const std::optional<int> code = vigil::ParseOptions(kIdentity, own, argc, argv, options)) return *code;
  auto host = vigil::ServiceHost::Open(kIdentity, options);
  if (!host.ok()) return vigil::CannotStart(host.status());

  const auto key_bytes = vigil::ReadKeyFile(options.installation_key_file);
  if (!key_bytes.ok()) return vigil::CannotStart(key_bytes.status());
  const auto installation_key = vigil::SealingKey::FromBytes(key_bytes->reveal());
  if (!installation_key.ok()) return vigil::CannotStart(installation_key.status());
  vigil::SystemRandom random;
  auto keys = vigil::OpenNatsKeyStore((*host)->nats_options(), *installation_key, random);
  if (!keys.ok()) return vigil::CannotStart(keys.status());

  vigil::HttpClient client({.max_in_flight = kMaxRequests, .urgent_reserve = kReserveOfFirstCalls});
  std::vector<std::unique_ptr<vigil::notification::Provider>> providers;
  const auto add = [&](const char* name, const std::string& url) {
    if (url.empty()) return;
    providers.push_back(
        vigil::notification::MakeSandboxProvider({.name = name, .url = url, .callback_base_url = options.callback_base_url}, &client));
  };
  add("sandbox", options.provider_url);
  add("sandbox-2", options.provider_url_2);

  vigil::notification::NotificationDependencies dependencies{.keys = keys->get(), .metrics = &(*host)->metrics()};
  for (const auto& provider : providers) dependencies.providers.push_back(provider.get());
  vigil::notification::Notification notification(std::move(dependencies));
  (*host)->Attach(&notification);
  notification.Attach(&(*host)->machine());

  // Break-glass: placed through the same providers, told of to intake.
  vigil::break_glass::EmergencyList list(options.data_directory + "/emergency-list", *installation_key, &random);
  if (const absl::Status read = list.Load(); !read.ok() && !absl::IsNotFound(read)) {
    vigil::log::Error("the emergency list cannot be read; it is made anew from the directory", {{"reason", read}});
  }
  std::vector<std::unique_ptr<vigil::notification::Provider>> emergency_providers;
  const auto emergency = vigil::notification::MakeEmergencyProviders(options.provider_url, options.provider_url_2, options.callback_base_url, &client,
                                                                     &emergency_providers);
  vigil::break_glass::Ringer ringer(&(*host)->common_pack(), &list, emergency, &(*host)->metrics());
  vigil::break_glass::ListKeeper keeper(&list, keys->get());
  notification.KeepEmergencyList(&keeper);
  vigil::notification::Handler handler(&notification, &ringer);
  if (const absl::Status started = (*host)->Start({&handler}); !started.ok()) return vigil::CannotStart(started);
  keeper.Start(&(*host)->machine());
  (*host)->lifecycle().OnStop("emergency list", [&keeper] { keeper.Stop(); });
  return vigil::RunUntilSignal(signals, (*host)->lifecycle());
}
