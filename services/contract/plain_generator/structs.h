#pragma once

#include <google/protobuf/io/printer.h>

#include "contract/plain_generator/names.h"

// Writes <stem>.plain.h and <stem>.plain.cc: the structs. Files must be without faults (check.h).
namespace vigil::plain_generator {

void WriteStructsHeader(const FileDescriptor& file, google::protobuf::io::Printer* out);
void WriteStructsSource(const FileDescriptor& file, google::protobuf::io::Printer* out);

}  // namespace vigil::plain_generator
