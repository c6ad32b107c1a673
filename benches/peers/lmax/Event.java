/**
 * An event of the ring. The subclasses differ in size; a cell uses one of them, so the compiler
 * takes the calls for what they are.
 */
abstract class Event {
    long value;

    /** Fills in all that the producer has to. */
    void write(long value) {
        this.value = value;
    }

    /** Whether the fields that the producer fills in fit {@code value}. */
    boolean fits(long value) {
        return true;
    }

    /** Takes over what the producer wrote. */
    void copy(Event other) {
        write(other.value);
    }

    /** 8 bytes. */
    static final class Narrow extends Event {}

    /** 64 bytes, all of the producer. */
    static final class Wide extends Event {
        private long word1, word2, word3, word4, word5, word6, word7;

        @Override
        void write(long value) {
            this.value = value;
            word1 = value + 1;
            word2 = value + 2;
            word3 = value + 3;
            word4 = value + 4;
            word5 = value + 5;
            word6 = value + 6;
            word7 = value + 7;
        }

        @Override
        boolean fits(long value) {
            return word1 == value + 1
                    & word2 == value + 2
                    & word3 == value + 3
                    & word4 == value + 4
                    & word5 == value + 5
                    & word6 == value + 6
                    & word7 == value + 7;
        }

        @Override
        void copy(Event other) {
            Wide wide = (Wide) other;
            value = wide.value;
            word1 = wide.word1;
            word2 = wide.word2;
            word3 = wide.word3;
            word4 = wide.word4;
            word5 = wide.word5;
            word6 = wide.word6;
            word7 = wide.word7;
        }
    }

    /** An event of which the consumers C1 and C2 write a field each. */
    abstract static class Staged extends Event {
        long first;
        long second;
    }

    /** 24 bytes. */
    static final class NarrowStaged extends Staged {}

    /** 64 bytes: three words as in the narrow one, and five more of the producer. */
    static final class WideStaged extends Staged {
        private long word3, word4, word5, word6, word7;

        @Override
        void write(long value) {
            this.value = value;
            word3 = value + 3;
            word4 = value + 4;
            word5 = value + 5;
            word6 = value + 6;
            word7 = value + 7;
        }

        @Override
        boolean fits(long value) {
            return word3 == value + 3
                    & word4 == value + 4
                    & word5 == value + 5
                    & word6 == value + 6
                    & word7 == value + 7;
        }
    }
}
