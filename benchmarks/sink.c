/* An SMTP sink that costs next to nothing: it takes every message and forgets it.
 *
 *   sink [-c] [-t certificate-and-key.pem] counters-file address:port...
 *
 * -c also offers CHUNKING, -t STARTTLS.
 *
 * One thread, epoll. The counters are in a mapped file, so that reading them disturbs nobody:
 * int64 messages, connections, octets, and CLOCK_MONOTONIC nanoseconds of the first and the last message.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
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
    int socket, in_data, match, closing, handshake;
    SSL *tls;
    int64_t chunk;
    int is_last;
    size_t line_length, reply_length;
    char line[2048], reply[16384];
};

static struct counters *counters;
static int offers_chunking;
static SSL_CTX *tls;

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
        if (tls && !s->tls)
            say(s, "250-STARTTLS\r\n");
        say(s, "250 ENHANCEDSTATUSCODES\r\n");
    } else if (tls && !s->tls && !strncasecmp(line, "STARTTLS", 8)) {
        say(s, "220 2.0.0 go on\r\n");
        s->handshake = 1;
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

static int put(struct session *s)
{
    int n = s->reply_length;
    s->reply_length = 0;
    return !n || (s->tls ? SSL_write(s->tls, s->reply, n) : (int)write(s->socket, s->reply, n)) == n;
}

/* What SSL_accept and SSL_read mean by their answer: 1 to wait for more, 0 for the end. */
static int is_waiting(struct session *s, int answer)
{
    int error = SSL_get_error(s->tls, answer);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static int shake_hands(struct session *s)
{
    int answer = SSL_accept(s->tls);
    if (answer == 1)
        s->handshake = 0;
    return answer == 1 || is_waiting(s, answer);
}

/* 0 when the session is over. */
static int serve(struct session *s)
{
    static char buffer[1 << 18];
    if (s->tls && s->handshake)
        return shake_hands(s);
    ssize_t n = s->tls ? SSL_read(s->tls, buffer, sizeof buffer) : read(s->socket, buffer, sizeof buffer);
    if (s->tls && n <= 0)
        return is_waiting(s, n);
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
    if (!put(s))
        return 0;
    if (s->handshake && !s->tls) {
        s->tls = SSL_new(tls);
        SSL_set_fd(s->tls, s->socket);
    }
    if (s->tls && SSL_pending(s->tls))
        return serve(s);
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
    for (int option; (option = getopt(count, words, "ct:")) != -1;) {
        offers_chunking |= option == 'c';
        if (option != 't')
            continue;
        tls = SSL_CTX_new(TLS_server_method());
        SSL_CTX_set_session_id_context(tls, (const unsigned char *)"sink", 4);
        if (SSL_CTX_use_certificate_chain_file(tls, optarg) != 1 ||
            SSL_CTX_use_PrivateKey_file(tls, optarg, SSL_FILETYPE_PEM) != 1)
            return fprintf(stderr, "%s: no certificate and key\n", optarg), 1;
    }
    int first = optind;
    if (count < first + 2) {
        fprintf(stderr, "usage: sink [-c] [-t pem] counters-file address:port...\n");
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
                SSL_free(s->tls);
                close(s->socket);
                free(s);
            }
        }
    }
}
