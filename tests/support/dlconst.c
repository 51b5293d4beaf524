/*
 * dlconst: functions for Exim's ${dlfunc} that answer the same whatever they
 * are asked, to compare those of mxhop with. What is left of the difference to
 * another router is Exim's own.
 */

typedef int function(unsigned char **text_r, int argc, unsigned char *argv[]);
function mxhop_route, mxhop_rest, mxhop_transport;

static int answer(unsigned char **text_r, char *text)
{
    *text_r = (unsigned char *)text;
    return 0;
}

int mxhop_route(unsigned char **text_r, int argc, unsigned char *argv[])
{
    static char text[] = "<;m1.bench.test;+;m2.bench.test";

    (void)argc;
    (void)argv;
    return answer(text_r, text);
}

int mxhop_rest(unsigned char **text_r, int argc, unsigned char *argv[])
{
    static char text[] = "";

    (void)argc;
    (void)argv;
    return answer(text_r, text);
}

int mxhop_transport(unsigned char **text_r, int argc, unsigned char *argv[])
{
    return mxhop_rest(text_r, argc, argv);
}
