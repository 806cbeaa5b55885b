/* How large a picture is and how long a sound lasts, from the first bytes of the file, which stands as base64 in a request; and how many
 * tokens providers make of it (estimate.h). The text comes from clients: nothing is believed that does not fit into it. */
#include "core/estimate_impl.h"

/* What is taken when the head does not tell. */
enum {
	UNKNOWN_SIDE = 1024, /* of a picture given by its address */
	AUDIO_BYTES_A_SECOND = 16000, /* 128 kbit/s */
	VIDEO_BYTES_A_SECOND = 125000,
	PAGE_BYTES = 50000, /* of a PDF */
	SEGMENTS = 256, /* of a JPEG, until its size */
	MAX_SIDE = 1 << 16
};

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* The file's byte at a place; 0 behind the end and where no base64 is. */
static uint32_t byte_at(struct gw_str s, uint64_t at)
{
	uint64_t c = at / 3 * 4 + at % 3;
	int a, b;

	if (c + 1 >= s.n)
		return 0;
	a = digit(s.p[c]);
	b = digit(s.p[c + 1]);
	if (a < 0 || b < 0)
		return 0;
	switch (at % 3) {
	case 0:
		return ((uint32_t)a << 2 | (uint32_t)b >> 4) & 0xff;
	case 1:
		return ((uint32_t)a << 4 | (uint32_t)b >> 2) & 0xff;
	default:
		return ((uint32_t)a << 6 | (uint32_t)b) & 0xff;
	}
}

static uint32_t big16(struct gw_str s, uint64_t at)
{
	return byte_at(s, at) << 8 | byte_at(s, at + 1);
}

static uint32_t big32(struct gw_str s, uint64_t at)
{
	return big16(s, at) << 16 | big16(s, at + 2);
}

static uint32_t small16(struct gw_str s, uint64_t at)
{
	return byte_at(s, at) | byte_at(s, at + 1) << 8;
}

static uint32_t small24(struct gw_str s, uint64_t at)
{
	return small16(s, at) | byte_at(s, at + 2) << 16;
}

static bool is_at(struct gw_str s, uint64_t at, const char *magic)
{
	for (size_t i = 0; magic[i]; i++) {
		if (byte_at(s, at + i) != (uint8_t)magic[i])
			return false;
	}
	return true;
}

/* Segments until one that begins a frame (SOF0 .. SOF15 without the three that share the row). */
static void look_jpeg(struct gw_str s, struct gw_media *m)
{
	uint64_t at = 2;

	for (int i = 0; i < SEGMENTS && at + 9 < m->bytes && byte_at(s, at) == 0xff; i++) {
		uint32_t mark = byte_at(s, at + 1);

		if (mark == 0xff) {
			at++; /* filling */
			continue;
		}
		if (mark >= 0xc0 && mark <= 0xcf && mark != 0xc4 && mark != 0xc8 && mark != 0xcc) {
			m->height = big16(s, at + 5);
			m->width = big16(s, at + 7);
			return;
		}
		at += 2 + (uint64_t)big16(s, at + 2);
	}
}

static void look_webp(struct gw_str s, struct gw_media *m)
{
	if (is_at(s, 12, "VP8X")) {
		m->width = 1 + small24(s, 24);
		m->height = 1 + small24(s, 27);
	} else if (is_at(s, 12, "VP8L")) {
		m->width = 1 + (small16(s, 21) & 0x3fff);
		m->height = 1 + (small24(s, 22) >> 6 & 0x3fff);
	} else if (is_at(s, 12, "VP8 ")) {
		m->width = small16(s, 26) & 0x3fff;
		m->height = small16(s, 28) & 0x3fff;
	}
}

static void look_wav(struct gw_str s, struct gw_media *m)
{
	uint64_t rate = small16(s, 28) | (uint64_t)small16(s, 30) << 16;

	m->kind = GW_MEDIA_AUDIO;
	m->seconds = rate >= 100 ? (m->bytes + rate - 1) / rate : m->bytes / AUDIO_BYTES_A_SECOND + 1;
}

static bool is_sound(struct gw_str s)
{
	return is_at(s, 0, "ID3") || is_at(s, 0, "OggS") || is_at(s, 0, "fLaC") ||
	       (byte_at(s, 0) == 0xff && (byte_at(s, 1) & 0xe0) == 0xe0) || is_at(s, 8, "M4A");
}

static void look_image(struct gw_str s, struct gw_media *m)
{
	if (is_at(s, 1, "PNG\r\n")) {
		m->width = big32(s, 16);
		m->height = big32(s, 20);
	} else if (is_at(s, 0, "GIF8")) {
		m->width = small16(s, 6);
		m->height = small16(s, 8);
	} else if (byte_at(s, 0) == 0xff && byte_at(s, 1) == 0xd8) {
		look_jpeg(s, m);
	} else if (is_at(s, 0, "RIFF") && is_at(s, 8, "WEBP")) {
		look_webp(s, m);
	} else {
		return;
	}
	m->kind = GW_MEDIA_IMAGE;
	if (m->width > MAX_SIDE || m->height > MAX_SIDE)
		m->width = m->height = 0;
}

void gw_media_look(struct gw_str s, struct gw_media *m)
{
	while (s.n && s.p[s.n - 1] == '=')
		s.n--;
	*m = (struct gw_media){ .bytes = s.n / 4 * 3 + (s.n % 4 > 1 ? s.n % 4 - 1 : 0) };
	look_image(s, m);
	if (m->kind != GW_MEDIA_UNKNOWN)
		return;
	if (is_at(s, 0, "RIFF") && is_at(s, 8, "WAVE")) {
		look_wav(s, m);
	} else if (is_at(s, 0, "%PDF") || is_at(s, 0, "PK\x03\x04")) { /* office files are zip files */
		m->kind = GW_MEDIA_DOCUMENT;
	} else if (is_sound(s)) {
		m->kind = GW_MEDIA_AUDIO;
		m->seconds = m->bytes / AUDIO_BYTES_A_SECOND + 1;
	} else if (is_at(s, 4, "ftyp") || is_at(s, 0, "\x1a\x45\xdf\xa3")) {
		m->kind = GW_MEDIA_VIDEO;
		m->seconds = m->bytes / VIDEO_BYTES_A_SECOND + 1;
	}
}

/* ---- what providers make of it ---- */

static uint64_t tiles(uint64_t side, uint64_t tile)
{
	return (side + tile - 1) / tile;
}

/* Into 2048 x 2048, then the shorter side to 768, then squares of 512 (OpenAI's rule for gpt-4o and its kin). */
static uint64_t openai_image(uint64_t w, uint64_t h, bool is_low)
{
	uint64_t longer = w > h ? w : h, shorter;

	if (is_low)
		return 85;
	if (longer > 2048) {
		w = (w * 2048 + longer - 1) / longer;
		h = (h * 2048 + longer - 1) / longer;
	}
	shorter = w < h ? w : h;
	if (shorter > 768) {
		w = w * 768 / shorter;
		h = h * 768 / shorter;
	}
	return 85 + 170 * tiles(w, 512) * tiles(h, 512);
}

static uint64_t image_tokens(enum gw_estimate_family f, uint64_t w, uint64_t h, bool is_low)
{
	uint64_t n;

	switch (f) {
	case GW_EF_CLAUDE:
		n = (w * h + 749) / 750;
		return n < 1600 ? n : 1600; /* larger ones are made smaller there */
	case GW_EF_GEMINI:
		return w <= 384 && h <= 384 ? 258 : 258 * tiles(w, 768) * tiles(h, 768);
	default:
		return openai_image(w, h, is_low);
	}
}

uint64_t gw_media_tokens(enum gw_estimate_family f, const struct gw_media *m, bool is_low)
{
	switch (m->kind) {
	case GW_MEDIA_IMAGE:
		return m->width && m->height ? image_tokens(f, m->width, m->height, is_low)
					     : image_tokens(f, UNKNOWN_SIDE, UNKNOWN_SIDE, is_low);
	case GW_MEDIA_AUDIO:
		return m->seconds * (f == GW_EF_GEMINI ? 32 : 10);
	case GW_MEDIA_VIDEO:
		return m->seconds * 263;
	case GW_MEDIA_DOCUMENT:
		return (m->bytes / PAGE_BYTES + 1) * (f == GW_EF_GEMINI ? 258 : f == GW_EF_CLAUDE ? 1500 : 500);
	case GW_MEDIA_UNKNOWN:
		break;
	}
	return 0;
}
