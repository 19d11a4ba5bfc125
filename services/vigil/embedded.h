#pragma once

#include <string_view>

// Data put into the program when it is built (embed.cmake): what speaks of the primary school's pack is data here too.
namespace vigil::embedded {

extern const std::string_view kNames;         // names.json: what ids are called
extern const std::string_view kSampleSchool;  // sample/school.json
extern const std::string_view kStory;         // play/story.json
extern const std::string_view kNarration;     // play/narration.json
extern const std::string_view kRequirements;  // docs/requirements.md

}  // namespace vigil::embedded
