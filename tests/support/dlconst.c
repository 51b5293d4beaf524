/*
 * dlconst: a function for Exim's ${dlfunc} that returns a constant, to compare
 * mxhop_route with. Costs what any such function costs.
 */

int mxhop_route(unsigned char **text_r, int argc, unsigned char *argv[]);

int mxhop_route(unsigned char **text_r, int argc, unsigned char *argv[])
{
    static unsigned char text[] = "<;mx1.bench.test;+;mx2.bench.test";

    (void)argc;
    (void)argv;
    *text_r = text;
    return 0;
}
