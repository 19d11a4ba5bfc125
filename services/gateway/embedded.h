#pragma once

#include <string_view>

// Files put into the program when it is built (embed.cmake).
namespace vigil::gateway::embedded {

extern const std::string_view kServiceDescriptors;  // google.protobuf.FileDescriptorSet with comments
extern const std::string_view kOtherPaths;          // other_paths.json
extern const std::string_view kPageHtml;
extern const std::string_view kPageScript;

}  // namespace vigil::gateway::embedded
