/* consent: the command line for customers, organisations and whoever verifies. Everything is behind the command table. */
#include "command.h"

int main(int argc, char **argv)
{
    return command_main(argc, argv);
}
