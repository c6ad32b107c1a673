/** What a consumer of pipeline or diamond does. */
enum Step {
    /** C1: writes the first field. */
    FIRST,
    /** C2 of the pipeline: writes the second field, from the first. */
    SECOND_FROM_FIRST,
    /** C2 of the diamond: writes the second field, beside C1. */
    SECOND,
    /** C3: checks them all. */
    CHECK,
}
