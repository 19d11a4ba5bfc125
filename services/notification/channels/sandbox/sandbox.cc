#include "notification/channels/sandbox/sandbox.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"

namespace vigil::notification {
namespace {

using nlohmann::json;

// How long a provider may take to accept a break-glass call before the next is asked.
constexpr absl::Duration kEmergencyPatience = absl::Milliseconds(1500);

std::string Dump(const json& body) { return body.dump(-1, ' ', false, json::error_handler_t::replace); }

absl::Status StatusOf(const absl::StatusOr<HttpResponse>& answer) {
  if (!answer.ok()) return answer.status();
  if (answer->status == 200 || answer->status == 202) return absl::OkStatus();
  const std::string text = absl::StrCat("the provider answered ", answer->status);
  // What it found wrong with the order itself does not get better by asking again.
  if (answer->status == 400 || answer->status == 413 || answer->status == 422) return absl::InvalidArgumentError(text);
  return absl::UnavailableError(text);
}

class SandboxProvider final : public Provider {
 public:
  SandboxProvider(SandboxProviderOptions options, HttpClient* client)
      : options_(std::move(options)),
        calls_url_(absl::StrCat(options_.url, "/v1/calls")),
        messages_url_(absl::StrCat(options_.url, "/v1/messages")),
        call_callback_(absl::StrCat(options_.callback_base_url, "/sandbox/", options_.call_kind)),
        message_callback_(absl::StrCat(options_.callback_base_url, "/sandbox/message")),
        client_(client) {}

  std::string_view name() const override { return options_.name; }

  void PlaceCall(const CallOrder& order, Done done) override {
    json body{{"id", order.id},
              {"to", order.to.reveal()},
              {"say", json::array({{{"language", order.language}, {"text", order.text}}})},
              {"callback", call_callback_}};
    if (order.gather) body["gather"] = {{"digits", 1}, {"timeout_ms", absl::ToInt64Milliseconds(options_.gather_timeout)}};
    if (!order.bridge_to.reveal().empty()) body["bridge_to"] = order.bridge_to.reveal();
    Post(calls_url_, Dump(body), order.urgent, std::move(done));
  }

  void PlaceMessage(const MessageOrder& order, Done done) override {
    const json body{{"id", order.id}, {"to", order.to.reveal()}, {"text", order.text}, {"callback", message_callback_}};
    Post(messages_url_, Dump(body), order.urgent, std::move(done));
  }

 private:
  void Post(const std::string& url, std::string body, bool urgent, Done done) {
    HttpClientRequest request;
    request.method = "POST";
    request.url = url;
    request.headers.Add("Content-Type", "application/json");
    request.body = std::move(body);
    request.timeout = options_.timeout;
    request.urgent = urgent;
    client_->Send(std::move(request), [done = std::move(done)](const absl::StatusOr<HttpResponse>& answer) { done(StatusOf(answer)); });
  }

  const SandboxProviderOptions options_;
  const std::string calls_url_;
  const std::string messages_url_;
  const std::string call_callback_;
  const std::string message_callback_;
  HttpClient* const client_;
};

}  // namespace

std::unique_ptr<Provider> MakeSandboxProvider(SandboxProviderOptions options, HttpClient* client) {
  return std::make_unique<SandboxProvider>(std::move(options), client);
}

std::vector<Provider*> MakeEmergencyProviders(const std::string& url, const std::string& second_url, const std::string& callback_base_url,
                                              HttpClient* client, std::vector<std::unique_ptr<Provider>>* providers) {
  std::vector<Provider*> all;
  const auto add = [&](const char* name, const std::string& at) {
    if (at.empty()) return;
    providers->push_back(MakeSandboxProvider(
        {.name = name, .url = at, .callback_base_url = callback_base_url, .call_kind = "break-glass", .timeout = kEmergencyPatience}, client));
    all.push_back(providers->back().get());
  };
  add("sandbox", url);
  add("sandbox-2", second_url);
  return all;
}

}  // namespace vigil::notification
