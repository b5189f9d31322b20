/* An SMTP sink that costs next to nothing: it takes every message and forgets it.
 *
 *   sink [-c] counters-file address:port...        (-c also offers CHUNKING)
 *
 * One thread, epoll. The counters are in a mapped file, so that reading them disturbs nobody:
 * int64 messages, connections, octets, and CLOCK_MONOTONIC nanoseconds of the first and the last message.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct counters {
    volatile int64_t messages, connections, octets, first, last;
};

/* `match` counts how much of CRLF.CRLF has been seen; data begins as if a CRLF stood before it. */
struct session {
    int socket, in_data, match, closing;
    int64_t chunk;
    int is_last;
    size_t line_length, reply_length;
    char line[2048], reply[16384];
};

static struct counters *counters;
static int offers_chunking;

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void say(struct session *s, const char *reply)
{
    size_t n = strlen(reply);
    if (s->reply_length + n <= sizeof s->reply) {
        memcpy(s->reply + s->reply_length, reply, n);
        s->reply_length += n;
    }
}

static void count_message(struct session *s)
{
    int64_t at = now();
    if (!counters->messages)
        counters->first = at;
    counters->last = at;
    counters->messages++;
    say(s, "250 2.0.0 taken\r\n");
}

static void take_line(struct session *s)
{
    const char *line = s->line;
    char *end;
    if (!strncasecmp(line, "EHLO", 4)) {
        say(s, "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 104857600\r\n");
        if (offers_chunking)
            say(s, "250-CHUNKING\r\n");
        say(s, "250 ENHANCEDSTATUSCODES\r\n");
    } else if (!strncasecmp(line, "DATA", 4)) {
        s->in_data = 1;
        s->match = 2;
        say(s, "354 go on\r\n");
    } else if (offers_chunking && !strncasecmp(line, "BDAT ", 5)) {
        s->chunk = strtoll(line + 5, &end, 10);
        s->is_last = strcasestr(end, "LAST") != NULL;
        if (!s->chunk)
            s->is_last ? count_message(s) : say(s, "250 2.0.0 taken\r\n");
    } else if (!strncasecmp(line, "QUIT", 4)) {
        say(s, "221 2.0.0 bye\r\n");
        s->closing = 1;
    } else {
        say(s, "250 2.0.0 fine\r\n");
    }
}

/* How many octets of `data` belong to the message. */
static size_t take_data(struct session *s, const char *data, size_t length)
{
    static const char end[] = "\r\n.\r\n";
    for (size_t i = 0; i < length; i++) {
        if (s->match == 0) { /* nothing of the end seen: leap to the next CR */
            const char *cr = memchr(data + i, '\r', length - i);
            if (!cr)
                return length;
            i = cr - data;
        }
        s->match = data[i] == end[s->match] ? s->match + 1 : data[i] == '\r' ? 1 : 0;
        if (s->match == 5) {
            s->in_data = 0;
            s->match = 0;
            count_message(s);
            return i + 1;
        }
    }
    return length;
}

static size_t take_chunk(struct session *s, size_t length)
{
    size_t n = (int64_t)length < s->chunk ? length : (size_t)s->chunk;
    s->chunk -= n;
    if (!s->chunk)
        s->is_last ? count_message(s) : say(s, "250 2.0.0 taken\r\n");
    return n;
}

static size_t take_command(struct session *s, const char *data, size_t length)
{
    const char *lf = memchr(data, '\n', length);
    size_t n = lf ? (size_t)(lf - data) + 1 : length;
    size_t room = sizeof s->line - 1 - s->line_length, kept = n < room ? n : room;
    memcpy(s->line + s->line_length, data, kept);
    s->line_length += kept;
    if (lf) {
        s->line[s->line_length] = 0;
        s->line_length = 0;
        take_line(s);
    }
    return n;
}

/* 0 when the session is over. */
static int serve(struct session *s)
{
    static char buffer[1 << 18];
    ssize_t n = read(s->socket, buffer, sizeof buffer);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 1;
    if (n <= 0)
        return 0;
    counters->octets += n;
    for (size_t at = 0; at < (size_t)n && !s->closing;) {
        if (s->chunk)
            at += take_chunk(s, n - at);
        else if (s->in_data)
            at += take_data(s, buffer + at, n - at);
        else
            at += take_command(s, buffer + at, n - at);
    }
    if (s->reply_length && write(s->socket, s->reply, s->reply_length) != (ssize_t)s->reply_length)
        return 0;
    s->reply_length = 0;
    return !s->closing;
}

static void welcome(int poller, int listener)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct session *s = calloc(1, sizeof *s);
    s->socket = fd;
    counters->connections++;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    if (write(fd, "220 sink ESMTP\r\n", 16) != 16)
        shutdown(fd, SHUT_RDWR);
}

static int listen_at(char *place)
{
    char *colon = strrchr(place, ':');
    struct sockaddr_in a = {.sin_family = AF_INET};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (!colon)
        return -1;
    *colon = 0;
    a.sin_port = htons(atoi(colon + 1));
    if (inet_pton(AF_INET, place, &a.sin_addr) != 1)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 1024))
        return -1;
    return fd;
}

int main(int count, char **words)
{
    int first = 1;
    if (count > 1 && !strcmp(words[1], "-c")) {
        offers_chunking = 1;
        first = 2;
    }
    if (count < first + 2) {
        fprintf(stderr, "usage: sink [-c] counters-file address:port...\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    int file = open(words[first], O_RDWR | O_CREAT, 0600), poller = epoll_create1(0);
    if (file < 0 || ftruncate(file, 4096))
        return perror(words[first]), 1;
    counters = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    int listeners = count - first - 1, *sockets = calloc(listeners, sizeof *sockets);
    for (int i = 0; i < listeners; i++) {
        sockets[i] = listen_at(words[first + 1 + i]);
        if (sockets[i] < 0)
            return perror(words[first + 1 + i]), 1;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &sockets[i]};
        epoll_ctl(poller, EPOLL_CTL_ADD, sockets[i], &event);
    }
    for (;;) {
        struct epoll_event events[256];
        int n = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int *listener = events[i].data.ptr;
            if (listener >= sockets && listener < sockets + listeners) {
                welcome(poller, *listener);
            } else if (!serve(events[i].data.ptr)) {
                struct session *s = events[i].data.ptr;
                close(s->socket);
                free(s);
            }
        }
    }
}
