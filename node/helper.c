/* Jobs and one thread: what the owner of the ledger can do at the same time as something else. A job that the thread has
   not come to when it is wanted is done by whoever wants it, so that a busy machine loses nothing by it. */
#include "helper.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#define CHANGES_MIN 64u /* waking the thread and being woken takes some 50 us, which is what so many changes take */

enum { JOB_WAITING, JOB_RUNNING, JOB_DONE };

struct helper {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct cl_job *first;         /* that wait, in the order of their coming */
    bool stopping;
    pthread_t thread;
};

static void *help(void *context)
{
    struct helper *helper = context;
    pthread_mutex_lock(&helper->lock);
    for (;;) {
        while (helper->first == NULL && !helper->stopping) pthread_cond_wait(&helper->changed, &helper->lock);
        struct cl_job *job = helper->first;
        if (job == NULL) break;
        helper->first = job->next;
        job->state = JOB_RUNNING;
        pthread_mutex_unlock(&helper->lock);
        job->run(job->argument);
        pthread_mutex_lock(&helper->lock);
        job->state = JOB_DONE;
        pthread_cond_broadcast(&helper->changed);
    }
    pthread_mutex_unlock(&helper->lock);
    return NULL;
}

enum cl_status helper_new(struct helper **out)
{
    struct helper *helper = calloc(1, sizeof *helper);
    *out = NULL;
    if (helper == NULL) return CL_E_MEMORY;
    pthread_mutex_init(&helper->lock, NULL);
    pthread_cond_init(&helper->changed, NULL);
    if (pthread_create(&helper->thread, NULL, help, helper) != 0) {
        pthread_cond_destroy(&helper->changed);
        pthread_mutex_destroy(&helper->lock);
        free(helper);
        return CL_E_MEMORY;
    }
    *out = helper;
    return CL_OK;
}

void helper_free(struct helper *helper)
{
    if (helper == NULL) return;
    pthread_mutex_lock(&helper->lock);
    helper->stopping = true;
    pthread_cond_broadcast(&helper->changed);
    pthread_mutex_unlock(&helper->lock);
    pthread_join(helper->thread, NULL);
    pthread_cond_destroy(&helper->changed);
    pthread_mutex_destroy(&helper->lock);
    free(helper);
}

static void begin(void *context, struct cl_job *job)
{
    struct helper *helper = context;
    job->next = NULL;
    job->state = JOB_WAITING;
    pthread_mutex_lock(&helper->lock);
    struct cl_job **last = &helper->first;
    while (*last != NULL) last = &(*last)->next;
    *last = job;
    pthread_cond_broadcast(&helper->changed);
    pthread_mutex_unlock(&helper->lock);
}

static void finish(void *context, struct cl_job *job)
{
    struct helper *helper = context;
    pthread_mutex_lock(&helper->lock);
    while (job->state == JOB_RUNNING) pthread_cond_wait(&helper->changed, &helper->lock);
    bool own = job->state == JOB_WAITING;
    if (own) {
        struct cl_job **at = &helper->first;
        while (*at != job) at = &(*at)->next;
        *at = job->next;
        job->state = JOB_DONE;
    }
    pthread_mutex_unlock(&helper->lock);
    if (own) job->run(job->argument);
}

void helper_hands(struct cl_helper *out, struct helper *helper)
{
    *out = (struct cl_helper){ .context = helper, .begin = begin, .finish = finish, .worth = CHANGES_MIN };
}
