/* Which of the media types that an answer can have a client wants: Accept of RFC 9110, section 12.5.1. Pure. */
#ifndef NODE_MEDIA_H
#define NODE_MEDIA_H

/* accept: the header's value, NULL or "" where there is none. types: ended by NULL. Returns: index of the type of the
   highest quality, the first of equals; -1: the client wants none of them. */
int media_choose(const char *accept, const char *const *types);

#endif
