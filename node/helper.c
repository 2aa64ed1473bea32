/* One job and one thread: what the owner of the ledger can do at the same time as something else. A job that the thread
   has not come to when it is wanted is done by whoever wants it, so that a busy machine loses nothing by it. */
#include "helper.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct helper {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void (*job)(void *argument);  /* waiting; NULL: none */
    void *argument;
    bool busy, stopping;          /* busy: the thread is at one */
    pthread_t thread;
};

static void *help(void *context)
{
    struct helper *helper = context;
    pthread_mutex_lock(&helper->lock);
    for (;;) {
        while (helper->job == NULL && !helper->stopping) pthread_cond_wait(&helper->changed, &helper->lock);
        void (*job)(void *argument) = helper->job;
        void *argument = helper->argument;
        if (job == NULL) break;
        helper->job = NULL;
        helper->busy = true;
        pthread_mutex_unlock(&helper->lock);
        job(argument);
        pthread_mutex_lock(&helper->lock);
        helper->busy = false;
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

static void finish(void *context)
{
    struct helper *helper = context;
    pthread_mutex_lock(&helper->lock);
    void (*job)(void *argument) = helper->job;
    void *argument = helper->argument;
    helper->job = NULL;
    while (job == NULL && helper->busy) pthread_cond_wait(&helper->changed, &helper->lock);
    pthread_mutex_unlock(&helper->lock);
    if (job != NULL) job(argument);
}

static void begin(void *context, void (*job)(void *argument), void *argument)
{
    struct helper *helper = context;
    assert(job != NULL);
    finish(context);
    pthread_mutex_lock(&helper->lock);
    helper->job = job;
    helper->argument = argument;
    pthread_cond_broadcast(&helper->changed);
    pthread_mutex_unlock(&helper->lock);
}

void helper_hands(struct cl_helper *out, struct helper *helper)
{
    *out = (struct cl_helper){ .context = helper, .begin = begin, .finish = finish };
}
