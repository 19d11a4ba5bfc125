#include "supervisor/ports.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace vigil::installation {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

std::set<std::string> ListeningInodes(int port) {
  constexpr std::string_view kListening = "0A";
  std::set<std::string> inodes;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream stream(table);
    std::string line;
    std::getline(stream, line);  // headings
    while (std::getline(stream, line)) {
      const std::vector<std::string> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
      if (fields.size() < 10 || fields[3] != kListening) continue;
      const std::size_t colon = fields[1].rfind(':');
      if (colon == std::string::npos) continue;
      if (std::strtol(fields[1].c_str() + colon + 1, nullptr, 16) == port)
        inodes.insert(absl::StrCat("socket:[", fields[9], "]"));
    }
  }
  return inodes;
}

}  // namespace

std::string ListenerOf(int port) {
  const std::set<std::string> inodes = ListeningInodes(port);
  if (inodes.empty()) return "";
  std::error_code error;
  for (const auto& process : std::filesystem::directory_iterator("/proc", error)) {
    const std::string pid = process.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    for (auto entry = std::filesystem::directory_iterator(process.path() / "fd", error);
         !error && entry != std::filesystem::end(entry); entry.increment(error)) {
      const std::filesystem::path target = std::filesystem::read_symlink(entry->path(), error);
      if (error || inodes.count(target.string()) == 0) continue;
      std::string name;
      std::getline(std::ifstream(process.path() / "comm") >> std::ws, name);
      return absl::StrCat(name, " (pid ", pid, ")");
    }
  }
  return "";
}

absl::Status CheckPortFree(int port) {
  const int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (file < 0) return absl::ErrnoToStatus(errno, "cannot make a socket");
  absl::Cleanup close_file = [&] { close(file); };
  // As servers do: connections that linger after a stop are not in the way.
  const int yes = 1;
  setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  const sockaddr_in address = Loopback(port);
  if (bind(file, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 && listen(file, 1) == 0)
    return absl::OkStatus();
  if (errno == EACCES)
    return absl::PermissionDeniedError(
        absl::StrCat("port ", port, " may not be used by this user; set VIGIL_PORT to 1024 or above"));
  const std::string holder = ListenerOf(port);
  return absl::AlreadyExistsError(absl::StrCat("port ", port, " is in use by ",
                                               holder.empty() ? "another program" : holder,
                                               ". Stop it, or choose another VIGIL_PORT"));
}

bool Accepts(int port, absl::Duration timeout) {
  const int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (file < 0) return false;
  absl::Cleanup close_file = [&] { close(file); };
  const sockaddr_in address = Loopback(port);
  if (connect(file, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return true;
  if (errno != EINPROGRESS) return false;
  pollfd writable = {file, POLLOUT, 0};
  if (poll(&writable, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout))) != 1) return false;
  int failure = 0;
  socklen_t size = sizeof(failure);
  return getsockopt(file, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 && failure == 0;
}

}  // namespace vigil::installation
