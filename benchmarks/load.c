/* An SMTP load generator: one thread a session, blocking sockets, the same work for every server.
 *
 *   load [-P] [-t] [-s sessions] [-n messages] [-l octets] [-m messages a connection, 0 = kept]
 *        [-u users] [-d domains] [-D suffix] [-h host] port
 *
 * Message k goes to u<k mod users>@<suffix>, or with -d to u<k mod users>@d<k mod domains>.<suffix>.
 * -P sends MAIL, RCPT and DATA in one write, -t begins with STARTTLS and a full handshake, -r gives each message so many
 * recipients (r0-, r1-... in front of the address). Prints one JSON object: what was taken, in how many seconds, and how long
 * single messages took, from the connection (first message of each) or from MAIL to the 250 that ends it.
 * Any reply that is not the expected one is an error; it is counted and the first is shown.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ERRORS_A_SESSION = 10, LONGEST_LINE = 1024 };

static const char *host = "127.0.0.1", *suffix = "elsewhere.example";
static int port, sessions = 20, messages = 1000, a_connection = 1, users = 1, domains = 0, pipelined = 0, recipients = 1;
static SSL_CTX *tls;
static size_t octets = 4096;
static char *text;
static size_t text_length;
static atomic_int next_message, accepted, errors;
static double *from_mail, *from_connect;
static pthread_mutex_t error_lock = PTHREAD_MUTEX_INITIALIZER;
static char first_error[LONGEST_LINE + 64];

struct connection {
    int socket;
    SSL *tls;
    size_t read, filled;
    char buffer[8192], line[LONGEST_LINE];
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int put(struct connection *c, const char *data, size_t length)
{
    while (length) {
        ssize_t n = c->tls ? SSL_write(c->tls, data, length) : write(c->socket, data, length);
        if (n <= 0)
            return -1;
        data += n;
        length -= n;
    }
    return 0;
}

/* The code of the next reply, all its lines read; -1 when the connection is gone. */
static int get_reply(struct connection *c)
{
    for (;;) {
        size_t length = 0;
        for (;;) {
            if (c->read == c->filled) {
                ssize_t n = c->tls ? SSL_read(c->tls, c->buffer, sizeof c->buffer)
                                   : read(c->socket, c->buffer, sizeof c->buffer);
                if (n <= 0)
                    return -1;
                c->read = 0;
                c->filled = n;
            }
            char ch = c->buffer[c->read++];
            if (ch == '\n')
                break;
            if (ch != '\r' && length < LONGEST_LINE - 1)
                c->line[length++] = ch;
        }
        c->line[length] = 0;
        if (length < 3)
            return -1;
        if (c->line[3] != '-')
            return atoi(c->line);
    }
}

static int expect(struct connection *c, int class, const char *after)
{
    int code = get_reply(c);
    if (code / 100 == class)
        return 0;
    pthread_mutex_lock(&error_lock);
    if (!first_error[0])
        snprintf(first_error, sizeof first_error, "%s: %.900s", after, code < 0 ? "closed" : c->line);
    pthread_mutex_unlock(&error_lock);
    return -1;
}

static int say(struct connection *c, const char *command, int class)
{
    return put(c, command, strlen(command)) ? -1 : expect(c, class, command);
}

static int start_tls(struct connection *c)
{
    if (say(c, "STARTTLS\r\n", 2))
        return -1;
    c->tls = SSL_new(tls);
    SSL_set_fd(c->tls, c->socket);
    return SSL_connect(c->tls) != 1 || say(c, "EHLO load.example\r\n", 2) ? -1 : 0;
}

static int open_connection(struct connection *c)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1;
    inet_pton(AF_INET, host, &a.sin_addr);
    memset(c, 0, sizeof *c);
    c->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->socket, (struct sockaddr *)&a, sizeof a))
        return -1;
    if (expect(c, 2, "greeting") || say(c, "EHLO load.example\r\n", 2))
        return -1;
    return tls ? start_tls(c) : 0;
}

static int send_message(struct connection *c, int number)
{
    const char *sender = "MAIL FROM:<load@hq.example>\r\n";
    char rcpt[256], all[512];
    if (domains)
        snprintf(rcpt, sizeof rcpt, "RCPT TO:<u%d@d%d.%s>\r\n", number % users, number % domains, suffix);
    else
        snprintf(rcpt, sizeof rcpt, "RCPT TO:<u%d@%s>\r\n", number % users, suffix);
    if (pipelined) {
        snprintf(all, sizeof all, "%s%sDATA\r\n", sender, rcpt);
        if (put(c, all, strlen(all)) || expect(c, 2, sender) || expect(c, 2, rcpt) || expect(c, 3, "DATA"))
            return -1;
    } else {
        if (say(c, sender, 2))
            return -1;
        for (int k = 0; k < recipients; k++) {
            if (recipients > 1)
                snprintf(all, sizeof all, "RCPT TO:<r%d-%s", k, rcpt + 9);
            if (say(c, recipients > 1 ? all : rcpt, 2))
                return -1;
        }
        if (say(c, "DATA\r\n", 3))
            return -1;
    }
    return put(c, text, text_length) || expect(c, 2, "end of data") ? -1 : 0;
}

/* One connection and its messages; 0 when no message is left for anybody. */
static int run_connection(struct connection *c)
{
    double opened = now();
    int more = 1, failed = open_connection(c);
    for (int k = 0; !failed && (a_connection == 0 || k < a_connection); k++) {
        int number = atomic_fetch_add(&next_message, 1);
        if (number >= messages) {
            more = 0;
            break;
        }
        double began = now();
        failed = send_message(c, number);
        if (!failed) {
            double ended = now();
            from_mail[number] = ended - began;
            from_connect[number] = k ? 0 : ended - opened;
            atomic_fetch_add(&accepted, 1);
        }
    }
    if (failed)
        atomic_fetch_add(&errors, 1);
    else if (put(c, "QUIT\r\n", 6) == 0)
        get_reply(c);
    SSL_free(c->tls);
    close(c->socket);
    return failed ? -1 : more;
}

static void *run_session(void *unused)
{
    struct connection c;
    int patience = MAX_ERRORS_A_SESSION, more = 1;
    (void)unused;
    while (more && patience) {
        more = run_connection(&c);
        if (more < 0)
            patience--;
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print_times(const char *name, double *times)
{
    int count = 0;
    for (int i = 0; i < messages; i++)
        if (times[i] > 0)
            times[count++] = times[i];
    qsort(times, count, sizeof *times, compare);
    if (count)
        printf(", \"%s\": {\"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}", name, times[count / 2] * 1e3,
               times[(int)(count * 0.99)] * 1e3, times[count - 1] * 1e3);
}

static void make_text(void)
{
    const char *head = "From: <load@hq.example>\r\nTo: <u@elsewhere.example>\r\nSubject: load\r\n"
                       "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <load@hq.example>\r\n\r\n";
    const char *line = "The quick brown fox jumps over the lazy dog, and the lazy dog lets it be so.\r\n";
    text = malloc(octets + 1024);
    text_length = sprintf(text, "%s", head);
    while (text_length < octets)
        text_length += sprintf(text + text_length, "%s", line);
    text_length += sprintf(text + text_length, ".\r\n");
}

static int read_options(int count, char **words)
{
    for (int option; (option = getopt(count, words, "Pts:n:l:m:u:d:D:h:r:")) != -1;)
        switch (option) {
        case 'P': pipelined = 1; break;
        case 't': tls = SSL_CTX_new(TLS_client_method()); break;
        case 'r': recipients = atoi(optarg); break;
        case 's': sessions = atoi(optarg); break;
        case 'n': messages = atoi(optarg); break;
        case 'l': octets = atol(optarg); break;
        case 'm': a_connection = atoi(optarg); break;
        case 'u': users = atoi(optarg); break;
        case 'd': domains = atoi(optarg); break;
        case 'D': suffix = optarg; break;
        case 'h': host = optarg; break;
        default: return -1;
        }
    if (optind + 1 != count)
        return -1;
    port = atoi(words[optind]);
    return 0;
}

int main(int count, char **words)
{
    if (read_options(count, words)) {
        fprintf(stderr, "usage: load [-P] [-t] [-r n] [-s n] [-n n] [-l n] [-m n] [-u n] [-d n] [-D suffix] [-h host] port\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    make_text();
    from_mail = calloc(messages, sizeof *from_mail);
    from_connect = calloc(messages, sizeof *from_connect);
    pthread_t *threads = calloc(sessions, sizeof *threads);
    double began = now();
    for (int i = 0; i < sessions; i++)
        pthread_create(&threads[i], NULL, run_session, NULL);
    for (int i = 0; i < sessions; i++)
        pthread_join(threads[i], NULL);
    printf("{\"seconds\": %.4f, \"accepted\": %d, \"errors\": %d", now() - began, accepted, errors);
    print_times("mail_to_250_ms", from_mail);
    print_times("connect_to_250_ms", from_connect);
    for (char *p = first_error; *p; p++)
        if (*p == '"' || *p == '\\' || *p < ' ')
            *p = ' ';
    printf(", \"first_error\": \"%s\"}\n", first_error);
    return accepted == messages ? 0 : 1;
}
