/* Images, documents, sound and film as blocks of Converse: by format, never by address. */
#include "core/dialect/bedrock/bedrock.h"
#include "lib/text.h"

static struct gw_json_out *out(struct bedrock_writer *w)
{
	return &w->w;
}

static const struct {
	enum ir_block_kind of;
	const char *mime, *format;
} known[] = {
	{ IR_IMAGE, "image/png", "png" },
	{ IR_IMAGE, "image/jpeg", "jpeg" },
	{ IR_IMAGE, "image/jpg", "jpeg" },
	{ IR_IMAGE, "image/gif", "gif" },
	{ IR_IMAGE, "image/webp", "webp" },
	{ IR_FILE, "application/pdf", "pdf" },
	{ IR_FILE, "text/csv", "csv" },
	{ IR_FILE, "application/msword", "doc" },
	{ IR_FILE, "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx" },
	{ IR_FILE, "application/vnd.ms-excel", "xls" },
	{ IR_FILE, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx" },
	{ IR_FILE, "text/html", "html" },
	{ IR_FILE, "text/markdown", "md" },
	{ IR_FILE, "text/plain", "txt" },
	{ IR_AUDIO, "audio/mpeg", "mp3" },
	{ IR_AUDIO, "audio/mp3", "mp3" },
	{ IR_AUDIO, "audio/wav", "wav" },
	{ IR_AUDIO, "audio/flac", "flac" },
	{ IR_AUDIO, "audio/ogg", "ogg" },
	{ IR_VIDEO, "video/mp4", "mp4" },
	{ IR_VIDEO, "video/quicktime", "mov" },
	{ IR_VIDEO, "video/webm", "webm" },
	{ IR_VIDEO, "video/x-matroska", "mkv" },
};

static const char *format_of(enum ir_block_kind kind, struct gw_str mime, enum ir_media_from from)
{
	if (!mime.n && kind == IR_FILE)
		return from == IR_PLAIN ? "txt" : "pdf";
	if (!mime.n && kind == IR_IMAGE)
		return "jpeg";
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (known[i].of == kind && gw_str_ieq(gw_str_z(known[i].mime), mime))
			return known[i].format;
	}
	return kind == IR_FILE && gw_str_has_prefix(mime, GW_LIT("text/")) ? "txt" : NULL;
}

/* Letters, digits, single spaces, - ( ) [ ]; the number makes it unlike the others of the request. */
static struct gw_str document_name(struct bedrock_writer *w, struct gw_str name)
{
	char fit[64];
	size_t n = 0;

	for (size_t i = 0; i < name.n && n < sizeof(fit); i++) {
		char c = name.p[i];
		bool is_fit = ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '(' ||
			      c == ')' || c == '[' || c == ']';

		if (!is_fit)
			c = ' ';
		if (c != ' ' || (n && fit[n - 1] != ' '))
			fit[n++] = c;
	}
	w->documents++;
	while (n && fit[n - 1] == ' ')
		n--;
	return gw_arena_printf(w->a, "%.*s %u", n ? (int)n : 8, n ? fit : "document", w->documents);
}

static enum gw_err put_source(struct bedrock_writer *w, const struct ir_media *m)
{
	struct gw_str mime, data = m->data;
	bool is_bytes = m->from == IR_BASE64 || (m->from == IR_URL && ir_data_url(m->data, &mime, &data));

	gw_jw_key(out(w), GW_LIT("source"));
	gw_jw_obj(out(w));
	if (is_bytes) {
		gw_jw_kstr(out(w), "bytes", data);
	} else if (m->from == IR_PLAIN) {
		gw_jw_key(out(w), GW_LIT("bytes"));
		gw_jw_raw(out(w), GW_LIT("\""));
		gw_b64_put(out(w)->b, data.p, data.n);
		gw_buf_putc(out(w)->b, '"');
	} else {
		gw_jw_key(out(w), GW_LIT("s3Location"));
		gw_jw_obj(out(w));
		gw_jw_kstr(out(w), "uri", data);
		gw_jw_end_obj(out(w));
	}
	gw_jw_end_obj(out(w));
	return GW_OK;
}

enum gw_err bedrock_media_write(struct bedrock_writer *w, const struct ir_block *b)
{
	static const char *const kinds[] = {
		[IR_IMAGE] = "image", [IR_FILE] = "document", [IR_AUDIO] = "audio", [IR_VIDEO] = "video"
	};
	struct gw_str mime = b->media.mime, data;
	const char *format;
	bool is_url = b->media.from == IR_URL && !ir_data_url(b->media.data, &mime, &data) &&
		      !gw_str_has_prefix(b->media.data, GW_LIT("s3://"));

	if (is_url)
		return bedrock_say(w, "messages[].content[].image_url.url",
				   "this provider does not fetch files from the web, and the gateway does not either; "
				   "send the content "
				   "as a data: URL (base64)");
	if (b->media.from == IR_FILE_ID)
		return bedrock_say(w, "messages[].content[].file.file_id",
				   "a file id is known only to the provider where the file was uploaded; send the "
				   "content as a data: URL");
	format = format_of(b->kind, mime, b->media.from);
	if (!format)
		return bedrock_say(w, "messages[].content[]",
				   "this provider takes png, jpeg, gif and webp images, pdf, csv, doc, docx, xls, "
				   "xlsx, html, txt and md "
				   "documents, and the usual kinds of sound and film");
	if (b->media.detail.n && !gw_str_eq(b->media.detail, GW_LIT("auto")))
		ir_drop(w->rq, "messages[].content[].image_url.detail");
	gw_jw_obj(out(w));
	gw_jw_key(out(w), gw_str_z(kinds[b->kind]));
	gw_jw_obj(out(w));
	gw_jw_kstr(out(w), "format", gw_str_z(format));
	if (b->kind == IR_FILE)
		gw_jw_kstr(out(w), "name", document_name(w, b->media.name));
	(void)put_source(w, &b->media);
	gw_jw_end_obj(out(w));
	gw_jw_end_obj(out(w));
	return GW_OK;
}
