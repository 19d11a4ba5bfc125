// The one door for what people do.
#include <grpcpp/impl/service_type.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/host.h"
#include "intake/break_glass.h"
#include "intake/break_glass_handler.h"
#include "intake/handler.h"
#include "intake/intake.h"
#include "machine/loop.h"
#include "notification/break_glass/emergency_list.h"
#include "notification/break_glass/list_keeper.h"
#include "notification/break_glass/ringer.h"
#include "notification/channels/sandbox/sandbox.h"
#include "platform/http/client.h"
#include "platform/keys/nats_key_store.h"
#include "platform/logging/log.h"
#include "platform/rpc/channel.h"
#include "platform/rpc/generic_caller.h"
#include "vigil/notification/v1/notification.pb.h"

namespace {

using Options = vigil::config::ServiceOptions;

const vigil::ServiceIdentity kIdentity{
    .name = "intake", .user = "intake", .writes = true, .summary = "Reports and commands of people, and the directory."};

const vigil::config::AcceptedOptions kOwnOptions{
    .required = {&Options::installation_key_file, &Options::check_in_key_file},
    .optional = {&Options::token_public_key_file, &Options::rehearsal, &Options::speed, &Options::notification_address, &Options::provider_url,
                 &Options::provider_url_2, &Options::callback_base_url}};

// Of all schools together.
constexpr std::size_t kMostCallsAtOnce = 256;
constexpr char kRingMethod[] = "/vigil.notification.v1.NotificationService/RingBreakGlass";
// Two providers may each take their time; then intake rings by itself.
constexpr absl::Duration kRingPatience = absl::Milliseconds(3200);

// Has notification ring, which knows its providers.
vigil::intake::RingArm RemoteArm(vigil::rpc::GenericCaller* caller) {
  return [caller](const vigil::break_glass::RingOrder& order, const auto& done) {
    vigil::notification::v1::RingBreakGlassRequest request;
    request.set_school(order.school);
    for (const std::string& code : order.codes) request.add_codes(code);
    for (const auto& call : order.calls) {
      auto* added = request.add_calls();
      added->set_id(call.id);
      added->set_person(call.person);
    }
    caller->Call(kRingMethod, request.SerializeAsString(), {}, kRingPatience, [done](absl::StatusOr<std::string> answer) {
      if (!answer.ok()) return done(answer.status());
      vigil::notification::v1::RingBreakGlassResponse response;
      if (!response.ParseFromString(*answer)) return done(absl::InternalError("notification's answer cannot be read"));
      done(std::vector<std::string>(response.taken().begin(), response.taken().end()));
    });
  };
}

}  // namespace

int main(int argc, char** argv) {
  vigil::SignalWait signals;
  Options options;
  if (auto code = vigil::ParseOptions(kIdentity, kOwnOptions, argc, argv, options)) return *code;
  auto host = vigil::ServiceHost::Open(kIdentity, options);
  if (!host.ok()) return vigil::CannotStart(host.status());

  auto installation_key_bytes = vigil::ReadKeyFile(options.installation_key_file);
  if (!installation_key_bytes.ok()) return vigil::CannotStart(installation_key_bytes.status());
  auto installation_key = vigil::SealingKey::FromBytes(installation_key_bytes->reveal());
  if (!installation_key.ok()) return vigil::CannotStart(installation_key.status());
  auto check_in_key = vigil::ReadKeyFile(options.check_in_key_file);
  if (!check_in_key.ok()) return vigil::CannotStart(check_in_key.status());

  vigil::SystemRandom random;
  auto keys = vigil::OpenNatsKeyStore((*host)->nats_options(), *installation_key, random);
  if (!keys.ok()) return vigil::CannotStart(keys.status());
  auto outbox = vigil::OpenOutbox(options.data_directory + "/outbox.db");
  if (!outbox.ok()) return vigil::CannotStart(outbox.status());
  auto answers = vigil::IdempotencyIndex::Open(options.data_directory + "/answers.db");
  if (!answers.ok()) return vigil::CannotStart(answers.status());
  auto blobs = vigil::BlobStore::Open(options.data_directory + "/attachments");
  if (!blobs.ok()) return vigil::CannotStart(blobs.status());
  vigil::ThreadLoop worker((*host)->clock());
  worker.Start({.on_wake = [] { return absl::InfiniteFuture(); }});
  // Opening what people ask to read waits for nobody's report, and no report for it.
  vigil::ThreadLoop reader((*host)->clock());
  reader.Start({.on_wake = [] { return absl::InfiniteFuture(); }});

  // Break-glass: a list beside the log, and two ways to ring it.
  vigil::break_glass::EmergencyList list(options.data_directory + "/emergency-list", *installation_key, &random);
  if (const absl::Status read = list.Load(); !read.ok() && !absl::IsNotFound(read)) {
    vigil::log::Error("the emergency list cannot be read; it is made anew from the directory", {{"reason", read}});
  }
  auto records = vigil::OpenOutbox(options.data_directory + "/break-glass.db");
  if (!records.ok()) return vigil::CannotStart(records.status());
  vigil::break_glass::ListKeeper keeper(&list, keys->get());
  auto http = std::make_unique<vigil::HttpClient>(vigil::HttpClientOptions{.max_in_flight = kMostCallsAtOnce});
  std::vector<std::unique_ptr<vigil::notification::Provider>> providers;
  vigil::break_glass::Ringer ringer(
      &(*host)->common_pack(), &list,
      vigil::notification::MakeEmergencyProviders(options.provider_url, options.provider_url_2, options.callback_base_url, http.get(), &providers),
      &(*host)->metrics());
  std::unique_ptr<vigil::rpc::GenericCaller> notification;
  std::vector<std::pair<std::string, vigil::intake::RingArm>> arms;
  if (!options.notification_address.empty()) {
    auto channel = vigil::rpc::MakeChannel(
        {.address = options.notification_address, .tls = {.ca = options.tls_ca, .certificate = options.tls_certificate, .key = options.tls_key}});
    if (!channel.ok()) return vigil::CannotStart(channel.status());
    notification = std::make_unique<vigil::rpc::GenericCaller>(*std::move(channel));
    arms.emplace_back("notification", RemoteArm(notification.get()));
  }
  arms.emplace_back("intake", [&ringer](const vigil::break_glass::RingOrder& order, const auto& done) { ringer.Ring(order, done); });
  const vigil::domain::LadderRow* ladder = (*host)->common_pack().EmergencyLadder();
  vigil::intake::BreakGlass break_glass({.clock = (*host)->clock(),
                                         .list = &list,
                                         .records = records->get(),
                                         .every = ladder == nullptr ? absl::Minutes(1) : ladder->steps.front().wait,
                                         .arms = std::move(arms)});

  vigil::intake::Intake intake({.keys = keys->get(),
                                .outbox = outbox->get(),
                                .answers = answers->get(),
                                .blobs = blobs->get(),
                                .random = &random,
                                .worker = &worker,
                                .reader = &reader,
                                .installation_key = *installation_key,
                                .check_in_key = check_in_key->reveal(),
                                .metrics = &(*host)->metrics(),
                                .break_glass = &break_glass,
                                .emergency_list = &keeper,
                                .rehearsal = options.rehearsal,
                                .rehearsal_speed = options.speed});
  (*host)->Attach(&intake);
  intake.Attach(&(*host)->machine());
  const auto handler = vigil::intake::MakeHandler(&intake);
  vigil::intake::BreakGlassHandler break_glass_handler(&break_glass);
  (*host)->OnLogConnection([&intake](bool connected) { intake.OnLogConnection(connected); });
  if (absl::Status started = (*host)->Start({handler.get(), &break_glass_handler}); !started.ok()) return vigil::CannotStart(started);
  (*host)->loop()->Post([&intake] { intake.WatchOutbox(); });
  break_glass.OnRecord([&intake] { intake.OnBreakGlassTick(); });
  break_glass.Start();
  keeper.Start(&(*host)->machine());
  (*host)->lifecycle().OnStop("break-glass", [&] {
    keeper.Stop();
    break_glass.Stop();
    notification.reset();
    http.reset();
  });
  (*host)->lifecycle().OnStop("work that waits", [&] {
    worker.Stop();
    reader.Stop();
  });
  return vigil::RunUntilSignal(signals, (*host)->lifecycle());
}
