/*
 * record - the walk over a message
 *
 * Gives the records of an untrusted message one by one, through all three
 * sections, as the counts in the header promise them. What it hands out is
 * within the message and well formed: names decompress, the data of a record
 * is whole, and for the types of which mxhop or its caller reads the data,
 * the length in the record is that of the content, to the octet.
 *
 * Bytes after the last record are ignored, as BIND does.
 *
 * The message belongs to the caller and must outlive walk and records.
 */

#include "dns/record.h"

#include "dns/reply.h"

/* What the data of a type consists of: octets, names, octets. */
static const struct shape {
    uint16_t type;
    uint8_t before, names, after;
} shapes[] = {
    {WIRE_TYPE_A, 4, 0, 0},     {WIRE_TYPE_NS, 0, 1, 0},
    {WIRE_TYPE_CNAME, 0, 1, 0}, {WIRE_TYPE_SOA, 0, 2, 20},
    {WIRE_TYPE_MX, 2, 1, 0},    {WIRE_TYPE_AAAA, 16, 0, 0},
};

static bool record_fits(struct cursor rdata, const struct shape *shape)
{
    struct wire_name name;

    cursor_skip(&rdata, shape->before);
    for (uint8_t i = 0; i < shape->names; i++)
        wire_name_read(&rdata, &name);
    cursor_skip(&rdata, shape->after);
    return !rdata.failed && rdata.pos == rdata.len;
}

static bool record_data_valid(const struct record *r)
{
    if (r->rrclass != WIRE_CLASS_IN)
        return true;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        if (shapes[i].type == r->type)
            return record_fits(r->rdata, &shapes[i]);
    return true;
}

bool walk_open(struct walk *w_r, const uint8_t *msg, size_t len)
{
    *w_r = (struct walk){.c = {.msg = msg, .len = len}};
    w_r->id = cursor_u16(&w_r->c);
    w_r->flags = cursor_u16(&w_r->c);
    for (unsigned s = 0; s < SECTIONS; s++)
        w_r->count[s] = cursor_u16(&w_r->c);
    if (w_r->count[SECTION_QUESTION] > 0) {
        wire_name_read(&w_r->c, &w_r->qname);
        w_r->qtype = cursor_u16(&w_r->c);
        w_r->qclass = cursor_u16(&w_r->c);
    }
    w_r->section = SECTION_ANSWER;
    w_r->left = w_r->count[SECTION_ANSWER];
    return !w_r->c.failed;
}

bool walk_next(struct walk *w, struct record *r_r)
{
    struct cursor *c = &w->c;
    uint16_t rdlength;

    while (w->left == 0) {
        if (w->section == SECTION_ADDITIONAL)
            return false;
        w->section++;
        w->left = w->count[w->section];
    }
    w->left--;
    r_r->section = w->section;
    wire_name_read(c, &r_r->owner);
    r_r->type = cursor_u16(c);
    r_r->rrclass = cursor_u16(c);
    r_r->ttl = cursor_u32(c);
    rdlength = cursor_u16(c);
    r_r->rdata = *c;
    r_r->rdata.len = c->pos + rdlength;
    cursor_skip(c, rdlength);
    if (!c->failed && !record_data_valid(r_r))
        c->failed = true;
    return !c->failed;
}

uint32_t record_ttl_s(uint32_t ttl)
{
    return ttl > INT32_MAX ? 0 : ttl;
}
