// How a document is laid out. A page is 595 x 842 points (A4). Everything is measured first and put on pages, then drawn, as each foot says how
// many pages there are. What is indivisible (a row of the form, a signature, the code) goes to the next page whole; only long answers are
// divided, between lines.
#include "platform/document/pages.h"

#include <cairo-ft.h>
#include <cairo-pdf.h>
#include <fontconfig/fontconfig.h>
#include <pango/pangocairo.h>
#include <pango/pangofc-fontmap.h>
#include <qrencode.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace vigil::document {
namespace {

// Points.
constexpr double kPageWidth = 595.28;
constexpr double kPageHeight = 841.89;
constexpr double kSide = 58;
constexpr double kTop = 56;
constexpr double kRunningTop = 74;  // below the running head of later pages
constexpr double kBottom = 64;
constexpr double kInner = kPageWidth - 2 * kSide;
constexpr double kLabel = 116;       // width of a label's cell
constexpr double kPadding = 5;       // within a cell
constexpr double kCode = 96;         // the QR code, with its margin
constexpr double kTextSize = 10.5;
constexpr double kSmallSize = 8.5;
constexpr double kHeadingSize = 12;
constexpr double kLetterheadSize = 17;
constexpr double kTitleSize = 21;
constexpr const char* kFamilies = "WenQuanYi Zen Hei, BabelStone Han";

template <typename T, void (*kFree)(T*)>
struct Freed {
  void operator()(T* object) const { kFree(object); }
};
template <typename T>
struct Unreferenced {
  void operator()(T* object) const { g_object_unref(object); }
};
using Layout = std::unique_ptr<PangoLayout, Unreferenced<PangoLayout>>;
using Surface = std::unique_ptr<cairo_surface_t, Freed<cairo_surface_t, cairo_surface_destroy>>;
using Canvas = std::unique_ptr<cairo_t, Freed<cairo_t, cairo_destroy>>;

// ---- fonts

class Fonts {
 public:
  static absl::StatusOr<std::unique_ptr<Fonts>> Open(const std::vector<std::string>& files) {
    auto fonts = std::unique_ptr<Fonts>(new Fonts);
    fonts->config_ = FcConfigCreate();
    fonts->covered_ = FcCharSetCreate();
    for (const std::string& file : files) {
      if (access(file.c_str(), R_OK) != 0) continue;
      if (FcConfigAppFontAddFile(fonts->config_, reinterpret_cast<const FcChar8*>(file.c_str())) != FcTrue) continue;
      fonts->any_ = true;
    }
    if (!fonts->any_) return absl::NotFoundError("none of the fonts for documents is installed");
    const FcFontSet* set = FcConfigGetFonts(fonts->config_, FcSetApplication);
    for (int i = 0; set != nullptr && i < set->nfont; ++i) {
      FcCharSet* of_font = nullptr;
      if (FcPatternGetCharSet(set->fonts[i], FC_CHARSET, 0, &of_font) == FcResultMatch) FcCharSetMerge(fonts->covered_, of_font, nullptr);
    }
    fonts->map_ = pango_cairo_font_map_new_for_font_type(CAIRO_FONT_TYPE_FT);
    pango_fc_font_map_set_config(PANGO_FC_FONT_MAP(fonts->map_), fonts->config_);
    return fonts;
  }
  ~Fonts() {
    if (map_ != nullptr) g_object_unref(map_);
    if (covered_ != nullptr) FcCharSetDestroy(covered_);
    if (config_ != nullptr) FcConfigDestroy(config_);
  }
  Fonts(const Fonts&) = delete;
  Fonts& operator=(const Fonts&) = delete;

  bool Has(gunichar c) const { return FcCharSetHasChar(covered_, c) == FcTrue; }
  PangoFontMap* map() const { return map_; }

 private:
  Fonts() = default;
  FcConfig* config_ = nullptr;
  FcCharSet* covered_ = nullptr;
  PangoFontMap* map_ = nullptr;
  bool any_ = false;
};

bool IsPrivate(gunichar c) { return (c >= 0xE000 && c <= 0xF8FF) || c >= 0xF0000; }
bool TurnsTheLine(gunichar c) { return (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0x200E || c == 0x200F || c == 0x061C; }
// They choose or join shapes and are nothing by themselves.
bool IsSilent(gunichar c) { return c == 0x200B || c == 0x200C || c == 0x200D || c == 0x2060 || c == 0xFEFF || (c >= 0xFE00 && c <= 0xFE0F) || (c >= 0xE0100 && c <= 0xE01EF); }

// ---- pages

// Something with a height, drawn at a place.
struct Piece {
  double height = 0;
  std::function<void(cairo_t*, double y)> draw;
};

class Maker {
 public:
  Maker(const Document& document, const Fonts& fonts) : document_(document), fonts_(fonts), context_(pango_font_map_create_context(fonts.map())) {
    pango_context_set_language(context_.get(), pango_language_from_string(document.language.c_str()));
    pango_context_set_base_dir(context_.get(), PANGO_DIRECTION_LTR);
    // Lines of measured glyphs, the same on every machine.
    cairo_font_options_t* options = cairo_font_options_create();
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    pango_cairo_context_set_font_options(context_.get(), options);
    cairo_font_options_destroy(options);
    pango_cairo_context_set_resolution(context_.get(), 72);
  }

  absl::StatusOr<Pages> Make() {
    First();
    for (const std::string& mark : document_.marks) Mark(mark);
    Form({.heading = "", .lines = document_.head, .columns = {}, .rows = {}}, false);
    for (const Section& section : document_.sections) Form(section, true);
    for (const std::string& note : document_.notes) Paragraph(note, kSmallSize + 0.5);
    // Asked for last but one, as all the words but it must have been seen.
    if (unknown_ > 0 && !document_.unknown_words.empty()) {
      Paragraph(absl::StrReplaceAll(document_.unknown_words, {{"{count}", absl::StrCat(unknown_)}}), kSmallSize + 0.5);
    }
    Signatures();
    Code();
    if (!bad_text_.empty()) return absl::InvalidArgumentError(bad_text_);
    if (static_cast<int>(pages_.size()) > kMaxPages) return absl::OutOfRangeError("the document has too many pages");
    return Draw();
  }

 private:
  // ---- text

  // What can be shown: line feeds stay, other control characters are spaces, and what is in no font is told by its number.
  std::string Shown(std::string_view text) {
    std::string shown;
    if (!g_utf8_validate(text.data(), static_cast<gssize>(text.size()), nullptr)) {
      bad_text_ = "some text is not valid UTF-8";
      return shown;
    }
    const char* const end = text.data() + text.size();
    for (const char* at = text.data(); at < end; at = g_utf8_next_char(at)) {
      const gunichar c = g_utf8_get_char(at);
      if (c == '\n' || c == 0x2028 || c == 0x2029) {
        shown.push_back('\n');
      } else if (c == '\t' || c < 0x20 || (c >= 0x7F && c < 0xA0)) {
        if (c != '\r') shown.push_back(' ');
      } else if (IsSilent(c)) {
        continue;
      } else if (IsPrivate(c) || TurnsTheLine(c) || !(fonts_.Has(c) || g_unichar_isspace(c))) {
        ++unknown_;
        absl::StrAppendFormat(&shown, "\u3014U+%04X\u3015", static_cast<std::uint32_t>(c));
      } else {
        shown.append(at, static_cast<std::size_t>(g_utf8_next_char(at) - at));
      }
    }
    while (!shown.empty() && (shown.back() == '\n' || shown.back() == ' ')) shown.pop_back();
    return shown;
  }

  // `width` < 0: one line.
  Layout Lay(std::string_view text, double size, double width, PangoAlignment alignment = PANGO_ALIGN_LEFT) {
    Layout layout(pango_layout_new(context_.get()));
    PangoFontDescription* font = pango_font_description_new();
    pango_font_description_set_family_static(font, kFamilies);
    pango_font_description_set_absolute_size(font, size * PANGO_SCALE);
    pango_layout_set_font_description(layout.get(), font);
    pango_font_description_free(font);
    if (width >= 0) pango_layout_set_width(layout.get(), static_cast<int>(width * PANGO_SCALE));
    pango_layout_set_wrap(layout.get(), PANGO_WRAP_WORD_CHAR);
    pango_layout_set_alignment(layout.get(), alignment);
    pango_layout_set_line_spacing(layout.get(), 1.12F);
    // An address that is broken must read as it is.
    PangoAttrList* attributes = pango_attr_list_new();
    pango_attr_list_insert(attributes, pango_attr_insert_hyphens_new(FALSE));
    pango_layout_set_attributes(layout.get(), attributes);
    pango_attr_list_unref(attributes);
    // Text, never markup.
    const std::string shown = Shown(text);
    pango_layout_set_text(layout.get(), shown.data(), static_cast<int>(shown.size()));
    return layout;
  }

  static double HeightOf(const Layout& layout) {
    int height = 0;
    pango_layout_get_size(layout.get(), nullptr, &height);
    return static_cast<double>(height) / PANGO_SCALE;
  }
  static double WidthOf(const Layout& layout) {
    int width = 0;
    pango_layout_get_size(layout.get(), &width, nullptr);
    return static_cast<double>(width) / PANGO_SCALE;
  }

  static void Show(cairo_t* canvas, PangoLayout* layout, double x, double y, double grey = 0) {
    cairo_set_source_rgb(canvas, grey, grey, grey);
    cairo_move_to(canvas, x, y);
    pango_cairo_show_layout(canvas, layout);
  }

  static void Box(cairo_t* canvas, double x, double y, double width, double height, bool filled) {
    cairo_rectangle(canvas, x, y, width, height);
    if (filled) {
      cairo_set_source_rgb(canvas, 0.945, 0.945, 0.945);
      cairo_fill_preserve(canvas);
    }
    cairo_set_source_rgb(canvas, 0.55, 0.55, 0.55);
    cairo_set_line_width(canvas, 0.5);
    cairo_stroke(canvas);
  }

  static void Rule(cairo_t* canvas, double y, double width, double grey) {
    cairo_set_source_rgb(canvas, grey, grey, grey);
    cairo_set_line_width(canvas, width);
    cairo_move_to(canvas, kSide, y);
    cairo_line_to(canvas, kPageWidth - kSide, y);
    cairo_stroke(canvas);
  }

  // ---- flow

  struct Placed {
    Piece piece;
    double y = 0;
  };

  double Left() const { return kPageHeight - kBottom - y_; }
  void NewPage() {
    pages_.emplace_back();
    y_ = pages_.size() == 1 ? kTop : kRunningTop;
  }
  void Put(Piece piece) {
    if (pages_.empty() || (piece.height > Left() && !pages_.back().empty())) NewPage();
    const double height = piece.height;
    pages_.back().push_back({std::move(piece), y_});
    y_ += height;
  }
  // Not at the top of a page.
  void Space(double height) { y_ = std::min(y_ + height, kPageHeight - kBottom); }

  void First() {
    NewPage();
    const std::shared_ptr<PangoLayout> school = Share(Lay(document_.letterhead, kLetterheadSize, kInner, PANGO_ALIGN_CENTER));
    const std::shared_ptr<PangoLayout> title = Share(Lay(document_.title, kTitleSize, kInner, PANGO_ALIGN_CENTER));
    const std::shared_ptr<PangoLayout> number = Share(Lay(document_.number, kSmallSize + 0.5, kInner, PANGO_ALIGN_RIGHT));
    const double school_height = HeightOf(school);
    Put({school_height + 9, [=](cairo_t* canvas, double y) {
           Show(canvas, school.get(), kSide, y);
           Rule(canvas, y + school_height + 5, 1.2, 0.15);
           Rule(canvas, y + school_height + 7.4, 0.5, 0.15);
         }});
    Space(3);
    if (!document_.number.empty()) Put({HeightOf(number), [=](cairo_t* canvas, double y) { Show(canvas, number.get(), kSide, y, 0.25); }});
    Space(10);
    Put({HeightOf(title), [=](cairo_t* canvas, double y) { Show(canvas, title.get(), kSide, y); }});
    Space(14);
  }

  void Mark(const std::string& mark) {
    const std::shared_ptr<PangoLayout> text = Share(Lay(mark, kTextSize, kInner - 2 * kPadding, PANGO_ALIGN_CENTER));
    const double height = HeightOf(text) + 2 * kPadding;
    Put({height, [=](cairo_t* canvas, double y) {
           cairo_rectangle(canvas, kSide, y, kInner, height);
           cairo_set_source_rgb(canvas, 0.1, 0.1, 0.1);
           cairo_set_line_width(canvas, 1);
           cairo_stroke(canvas);
           Show(canvas, text.get(), kSide + kPadding, y + kPadding);
         }});
    Space(6);
  }

  void Heading(const std::string& heading, double needed_below) {
    const std::shared_ptr<PangoLayout> text = Share(Lay(heading, kHeadingSize, kInner - 8));
    const double height = HeightOf(text) + 5;
    // A heading never stands alone at the foot.
    if (height + needed_below > Left()) NewPage();
    Put({height, [=](cairo_t* canvas, double y) {
           cairo_set_source_rgb(canvas, 0.2, 0.2, 0.2);
           cairo_rectangle(canvas, kSide, y + 1, 3, HeightOf(text) - 2);
           cairo_fill(canvas);
           Show(canvas, text.get(), kSide + 9, y);
         }});
  }

  void Form(const Section& section, bool spaced) {
    if (section.lines.empty() && section.rows.empty()) return;
    if (spaced) Space(11);
    if (!section.heading.empty()) Heading(section.heading, 34);
    for (std::size_t i = 0; i < section.lines.size();) {
      if (i + 1 < section.lines.size() && Short(section.lines[i]) && Short(section.lines[i + 1])) {
        Pair(section.lines[i], section.lines[i + 1]);
        i += 2;
      } else {
        Row(section.lines[i]);
        ++i;
      }
    }
    Table(section);
  }

  // Fits beside another in one line.
  bool Short(const Line& line) {
    if (line.value.find('\n') != std::string::npos || line.value.size() > 120 || line.label.size() > 60) return false;
    const int before = unknown_;
    const bool fits = WidthOf(Lay(line.label, kTextSize, -1)) <= kLabel - 2 * kPadding && WidthOf(Lay(line.value, kTextSize, -1)) <= kInner / 2 - kLabel - 2 * kPadding;
    unknown_ = before;
    return fits;
  }

  void Pair(const Line& left, const Line& right) {
    std::array<std::shared_ptr<PangoLayout>, 4> cells;
    const std::array<double, 4> widths = {kLabel, kInner / 2 - kLabel, kLabel, kInner / 2 - kLabel};
    const std::array<const std::string*, 4> texts = {&left.label, &left.value, &right.label, &right.value};
    double height = 0;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      cells[i] = Share(Lay(*texts[i], kTextSize, widths[i] - 2 * kPadding));
      height = std::max(height, HeightOf(cells[i]) + 2 * kPadding);
    }
    Put({height, [=](cairo_t* canvas, double y) {
           double x = kSide;
           for (std::size_t i = 0; i < cells.size(); ++i) {
             Box(canvas, x, y, widths[i], height, i % 2 == 0);
             Show(canvas, cells[i].get(), x + kPadding, y + kPadding);
             x += widths[i];
           }
         }});
  }

  // A label beside its value; a long value goes on on the next page, its label again beside it.
  void Row(const Line& line) {
    const std::shared_ptr<PangoLayout> label = Share(Lay(line.label, kTextSize, kLabel - 2 * kPadding));
    const std::shared_ptr<PangoLayout> value = Share(Lay(line.value, kTextSize, kInner - kLabel - 2 * kPadding));
    const int count = pango_layout_get_line_count(value.get());
    // Where each line ends, from the top of the value.
    std::vector<double> ends;
    PangoLayoutIter* iterator = pango_layout_get_iter(value.get());
    do {
      int top = 0;
      int bottom = 0;
      pango_layout_iter_get_line_yrange(iterator, &top, &bottom);
      ends.push_back(static_cast<double>(bottom) / PANGO_SCALE);
    } while (pango_layout_iter_next_line(iterator) != FALSE);
    pango_layout_iter_free(iterator);
    const double label_height = HeightOf(label) + 2 * kPadding;
    int from = 0;
    while (from < count) {
      const double start = from == 0 ? 0 : ends[static_cast<std::size_t>(from - 1)];
      const auto height_to = [&](int to) { return std::max(ends[static_cast<std::size_t>(to - 1)] - start + 2 * kPadding, label_height); };
      int to = count;
      if (height_to(to) > Left()) {
        to = from;
        while (to < count && height_to(to + 1) <= Left()) ++to;
        // Neither one line alone at the foot nor one alone on the next page.
        if (to < count && count - to == 1 && to - from > 2) --to;
        if (to - from < std::min(2, count - from)) {
          if (pages_.back().empty()) {
            to = from + 1;  // a label longer than a page: let it stand
          } else {
            NewPage();
            continue;
          }
        }
      }
      const double height = height_to(to);
      Put({height, [=](cairo_t* canvas, double y) {
             Box(canvas, kSide, y, kLabel, height, true);
             Show(canvas, label.get(), kSide + kPadding, y + kPadding);
             Box(canvas, kSide + kLabel, y, kInner - kLabel, height, false);
             ShowLines(canvas, value.get(), from, to, kSide + kLabel + kPadding, y + kPadding - start);
           }});
      from = to;
    }
  }

  static void ShowLines(cairo_t* canvas, PangoLayout* layout, int from, int to, double x, double y) {
    cairo_set_source_rgb(canvas, 0, 0, 0);
    PangoLayoutIter* iterator = pango_layout_get_iter(layout);
    int line = 0;
    do {
      if (line >= from && line < to) {
        PangoRectangle place;
        pango_layout_iter_get_line_extents(iterator, nullptr, &place);
        const int baseline = pango_layout_iter_get_baseline(iterator);
        cairo_move_to(canvas, x + static_cast<double>(place.x) / PANGO_SCALE, y + static_cast<double>(baseline) / PANGO_SCALE);
        pango_cairo_show_layout_line(canvas, pango_layout_iter_get_line_readonly(iterator));
      }
      ++line;
    } while (pango_layout_iter_next_line(iterator) != FALSE);
    pango_layout_iter_free(iterator);
  }

  void Table(const Section& section) {
    if (section.columns.empty()) return;
    const std::size_t columns = section.columns.size();
    // The first column names the row.
    const double first = columns == 1 ? kInner : kInner * 0.4;
    const double other = columns == 1 ? 0 : (kInner - first) / static_cast<double>(columns - 1);
    const auto row = [&](const std::vector<std::string>& texts, bool head) {
      std::vector<std::shared_ptr<PangoLayout>> cells;
      double height = 0;
      for (std::size_t i = 0; i < columns; ++i) {
        cells.push_back(Share(Lay(texts[i], kTextSize - 0.5, (i == 0 ? first : other) - 2 * kPadding, i == 0 ? PANGO_ALIGN_LEFT : PANGO_ALIGN_CENTER)));
        height = std::max(height, HeightOf(cells.back()) + 2 * (kPadding - 1));
      }
      Put({height, [=](cairo_t* canvas, double y) {
             double x = kSide;
             for (std::size_t i = 0; i < cells.size(); ++i) {
               const double width = i == 0 ? first : other;
               Box(canvas, x, y, width, height, head);
               Show(canvas, cells[i].get(), x + kPadding, y + kPadding - 1);
               x += width;
             }
           }});
    };
    row(section.columns, true);
    for (const auto& cells : section.rows) row(cells, false);
  }

  void Paragraph(const std::string& text, double size) {
    Space(8);
    const std::shared_ptr<PangoLayout> layout = Share(Lay(text, size, kInner));
    Put({HeightOf(layout), [=](cairo_t* canvas, double y) { Show(canvas, layout.get(), kSide, y, 0.1); }});
  }

  // Two beside each other, with room for a hand.
  void Signatures() {
    if (document_.signatures.empty()) return;
    Space(16);
    constexpr double kHeight = 42;
    constexpr double kWidth = kInner / 2;
    // Together where they fit on a page.
    const double all = kHeight * std::ceil(static_cast<double>(document_.signatures.size()) / 2);
    if (all > Left() && all < kPageHeight - kRunningTop - kBottom) NewPage();
    for (std::size_t i = 0; i < document_.signatures.size(); i += 2) {
      struct Place {
        std::shared_ptr<PangoLayout> label;
        std::shared_ptr<PangoLayout> name;
        std::shared_ptr<PangoLayout> date;
      };
      std::vector<Place> places;
      for (std::size_t k = i; k < std::min(i + 2, document_.signatures.size()); ++k) {
        const Signature& signature = document_.signatures[k];
        places.push_back({Share(Lay(signature.label, kTextSize, kWidth - 16)), Share(Lay(signature.name, kTextSize, kWidth * 0.56 - 6)), Share(Lay(document_.date_words, kSmallSize, -1))});
      }
      Put({kHeight, [=](cairo_t* canvas, double y) {
             double x = kSide;
             for (const Place& place : places) {
               Show(canvas, place.label.get(), x, y, 0.1);
               const double line = y + kHeight - 10;
               Show(canvas, place.name.get(), x + 4, line - HeightOf(place.name) - 1);
               cairo_set_source_rgb(canvas, 0.3, 0.3, 0.3);
               cairo_set_line_width(canvas, 0.6);
               cairo_move_to(canvas, x, line);
               cairo_line_to(canvas, x + kWidth * 0.56, line);
               Show(canvas, place.date.get(), x + kWidth * 0.6, line - HeightOf(place.date) + 1, 0.3);
               cairo_set_source_rgb(canvas, 0.3, 0.3, 0.3);
               cairo_move_to(canvas, x + kWidth * 0.6 + WidthOf(place.date) + 3, line);
               cairo_line_to(canvas, x + kWidth - 14, line);
               cairo_stroke(canvas);
               x += kWidth;
             }
           }});
    }
  }

  void Code() {
    if (document_.copy_url.empty()) return;
    const std::shared_ptr<QRcode> code(QRcode_encodeString8bit(document_.copy_url.c_str(), 0, QR_ECLEVEL_M), [](QRcode* c) {
      if (c != nullptr) QRcode_free(c);
    });
    if (code == nullptr) {
      bad_text_ = "the address of the copy is too long for a code";
      return;
    }
    Space(12);
    const double beside = kInner - kCode - 14;
    const std::shared_ptr<PangoLayout> words = Share(Lay(document_.copy_words, kSmallSize + 1, beside));
    const std::shared_ptr<PangoLayout> address = Share(Lay(document_.copy_url, kSmallSize - 1.5, beside));
    const double height = std::max(kCode, HeightOf(words) + 6 + HeightOf(address)) + 4;
    Put({height, [=](cairo_t* canvas, double y) {
           // With the quiet zone of four modules that readers want.
           const double module = kCode / (code->width + 8);
           cairo_set_source_rgb(canvas, 0, 0, 0);
           for (int row = 0; row < code->width; ++row) {
             for (int column = 0; column < code->width; ++column) {
               if ((code->data[row * code->width + column] & 1) == 0) continue;
               cairo_rectangle(canvas, kSide + (column + 4) * module, y + (row + 4) * module, module, module);
             }
           }
           cairo_fill(canvas);
           Box(canvas, kSide, y, kCode, kCode, false);
           Show(canvas, words.get(), kSide + kCode + 14, y + 4);
           Show(canvas, address.get(), kSide + kCode + 14, y + 10 + HeightOf(words), 0.4);
         }});
  }

  // ---- out

  static cairo_status_t Append(void* closure, const unsigned char* data, unsigned int length) {
    static_cast<std::string*>(closure)->append(reinterpret_cast<const char*>(data), length);
    return CAIRO_STATUS_SUCCESS;
  }

  absl::StatusOr<Pages> Draw() {
    Pages out;
    out.count = static_cast<int>(pages_.size());
    out.unknown_characters = unknown_;
    const Surface surface(cairo_pdf_surface_create_for_stream(Append, &out.pdf, kPageWidth, kPageHeight));
    // The title alone: who it is about stands on the page only.
    cairo_pdf_surface_set_metadata(surface.get(), CAIRO_PDF_METADATA_TITLE, document_.title.c_str());
    cairo_pdf_surface_set_metadata(surface.get(), CAIRO_PDF_METADATA_CREATOR, "Vigil");
    const Canvas canvas(cairo_create(surface.get()));
    const std::shared_ptr<PangoLayout> running =
        Share(Lay(absl::StrCat(document_.letterhead, "\u3000", document_.title, "\u3000", document_.number), kSmallSize, kInner));
    const std::shared_ptr<PangoLayout> printed = Share(Lay(document_.printed_words, kSmallSize, kInner));
    for (std::size_t i = 0; i < pages_.size(); ++i) {
      if (i > 0) {
        Show(canvas.get(), running.get(), kSide, kTop - 18, 0.35);
        Rule(canvas.get(), kTop - 18 + HeightOf(running) + 3, 0.5, 0.55);
      }
      for (const Placed& placed : pages_[i]) placed.piece.draw(canvas.get(), placed.y);
      const double foot = kPageHeight - kBottom + 22;
      Rule(canvas.get(), foot - 5, 0.5, 0.55);
      Show(canvas.get(), printed.get(), kSide, foot, 0.35);
      const Layout page = Lay(absl::StrReplaceAll(document_.page_words, {{"{page}", absl::StrCat(i + 1)}, {"{pages}", absl::StrCat(pages_.size())}}), kSmallSize, kInner,
                              PANGO_ALIGN_RIGHT);
      Show(canvas.get(), page.get(), kSide, foot, 0.35);
      cairo_show_page(canvas.get());
    }
    cairo_surface_finish(surface.get());
    if (const cairo_status_t status = cairo_surface_status(surface.get()); status != CAIRO_STATUS_SUCCESS) {
      return absl::InternalError(cairo_status_to_string(status));
    }
    return out;
  }

  // Drawing functions are copied; what they hold is shared.
  static std::shared_ptr<PangoLayout> Share(Layout layout) { return {layout.release(), Unreferenced<PangoLayout>()}; }
  static double HeightOf(const std::shared_ptr<PangoLayout>& layout) {
    int height = 0;
    pango_layout_get_size(layout.get(), nullptr, &height);
    return static_cast<double>(height) / PANGO_SCALE;
  }
  static double WidthOf(const std::shared_ptr<PangoLayout>& layout) {
    int width = 0;
    pango_layout_get_size(layout.get(), &width, nullptr);
    return static_cast<double>(width) / PANGO_SCALE;
  }

  const Document& document_;
  const Fonts& fonts_;
  const std::unique_ptr<PangoContext, Unreferenced<PangoContext>> context_;
  std::vector<std::vector<Placed>> pages_;
  double y_ = kTop;
  int unknown_ = 0;
  std::string bad_text_;
};

}  // namespace

std::vector<std::string> FontFiles() {
  return {"/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc", "/usr/share/fonts/truetype/babelstone/BabelStoneHan.ttf"};
}

absl::StatusOr<Pages> MakePages(const Document& document, const std::vector<std::string>& font_files) {
  auto fonts = Fonts::Open(font_files);
  if (!fonts.ok()) return fonts.status();
  return Maker(document, **fonts).Make();
}

}  // namespace vigil::document
