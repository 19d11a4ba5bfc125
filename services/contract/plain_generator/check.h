#pragma once

#include <string>
#include <vector>

#include "contract/plain_generator/names.h"

namespace vigil::plain_generator {

// What in a plain file cannot become plain structs, one line a fault, each naming the thing at fault. Empty: nothing.
std::vector<std::string> Faults(const FileDescriptor& file);

// The file's messages, each after those that it contains. The file must be without faults.
std::vector<const Descriptor*> InDependencyOrder(const FileDescriptor& file);

}  // namespace vigil::plain_generator
